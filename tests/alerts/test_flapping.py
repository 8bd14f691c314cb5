"""Trouble that comes and goes: held and told once, and told again when it settles."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts import lifecycle
from alerts.flapping import EVALUATIONS, Marks
from alerts.lifecycle import Event, Finding, Observation, Snapshot, State, Terms
from alerts.models import AlertEvent, AlertInstance, AlertRule, NotificationDelivery
from tests.alerts.rounds import evaluate, measure

NOW = datetime(2026, 6, 13, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MARKS = Marks(MINUTE)
TERMS = Terms(flapping=MARKS)
TOLD = {Event.OPENED, Event.UNSUPPRESSED, Event.FLAPPING}
BAD, GOOD, GONE = Finding.BREACHED, Finding.CLEARED, Finding.MISSING


@dataclass
class Trouble:
    """One trouble as it is evaluated each minute: its live alert, and what happened, alert by alert."""

    terms: Terms = TERMS
    now: datetime = NOW
    live: Snapshot | None = None
    flips: tuple[datetime, ...] = ()
    happened: list[tuple[datetime, Event]] = field(default_factory=list)

    def see(self, finding: Finding, suppressed: str = "") -> tuple[Event, ...]:
        self.now += MINUTE
        decided = lifecycle.decide(self.live, Observation(finding, suppressed), self.terms, self.now, self.flips)
        if decided is None:
            return ()
        known = {name: value for name, value in decided.changes.items() if name in Snapshot.__dataclass_fields__}
        self.live = replace(self.live or Snapshot(State.INACTIVE), state=decided.state, **known)
        if decided.gone or decided.state is State.RESOLVED:
            self.flips, self.live = self.live.flips, None
        self.happened += [(self.now, event) for event in decided.events]
        return decided.events


@pytest.mark.parametrize(
    ("flips", "begins", "is_over"),
    [(0, False, True), (3, False, True), (4, False, False), (5, False, False), (6, True, False), (20, True, False)],
)
def test_it_begins_at_the_high_mark_and_ends_at_the_low_one(flips, begins, is_over):
    at = [NOW - MINUTE * number for number in range(flips)]
    assert (MARKS.begins(at, NOW), MARKS.is_over(at, NOW)) == (begins, is_over)
    later = NOW + MINUTE * EVALUATIONS
    assert (MARKS.begins(at, later), MARKS.is_over(at, later)) == (False, True)


@pytest.mark.parametrize(
    ("last", "expected"), [(BAD, (State.OPEN, Event.UNSUPPRESSED)), (GOOD, (None, Event.RESOLVED))]
)
def test_it_is_told_once_held_and_told_as_it_is_when_it_settles(last, expected):
    trouble = Trouble()
    begun = [trouble.see(one) for _ in range(4) for one in (BAD, GOOD)]
    # o r o r o and then the sixth change is the end of the third alert: the fourth opening is the seventh.
    assert begun[:6] == [(Event.OPENED,), (Event.RESOLVED,)] * 3
    assert begun[6:] == [(Event.FLAPPING,), ()]
    assert [trouble.see(one) for _ in range(5) for one in (BAD, GOOD)] == [()] * 10
    settled = [trouble.see(last) for _ in range(EVALUATIONS)]
    assert [events for events in settled if events] == [(expected[1],)]
    assert (trouble.live.state if trouble.live else None) == expected[0]


def test_missing_data_is_waited_for_and_no_change():
    trouble = Trouble()
    for one in (BAD, GOOD, BAD, GOOD, BAD, GOOD, BAD):
        trouble.see(one)
    assert [trouble.see(GONE) for _ in range(EVALUATIONS)][1:] == [()] * (EVALUATIONS - 1)
    assert trouble.see(BAD) == (Event.DATA_BACK, Event.UNSUPPRESSED)


def test_what_is_not_to_be_held_never_flaps():
    trouble = Trouble(Terms())
    assert {event for _ in range(20) for one in (BAD, GOOD) for event in trouble.see(one)} == {
        Event.OPENED,
        Event.RESOLVED,
    }


def test_what_runs_out_or_is_resolved_by_a_person_begins_anew():
    trouble = Trouble(replace(TERMS, auto_resolve=MINUTE))
    kinds = [trouble.see(BAD) for _ in range(20)]
    assert kinds == [(Event.OPENED,), (Event.RESOLVED,)] * 10
    assert lifecycle.decide_resolve(Snapshot(State.OPEN, flips=(NOW,)), "manual").changes == {"flips": ()}


histories = st.lists(
    st.tuples(st.sampled_from([BAD, BAD, GOOD, GOOD, GONE]), st.integers(1, 8), st.sampled_from(["", "", "a window"])),
    max_size=25,
)


@settings(max_examples=60)
@given(histories, st.sampled_from([BAD, GOOD]), st.integers(0, 3).map(lambda number: number * MINUTE))
def test_any_history_is_held_by_the_marks_and_ends_in_what_people_know(history, last, keep_firing):
    """Beside it the plain model: the changes of the last evaluations, counted anew each time."""
    trouble = Trouble(replace(TERMS, keep_firing=keep_firing))
    known_bad = False
    for finding, length, why in [*history, (last, EVALUATIONS + 5, "")]:
        for _ in range(length):
            was = trouble.live
            events = trouble.see(finding, why)
            held = was is not None and was.flapping_since is not None
            assert not (why and TOLD & set(events)), "nobody is told while something else holds it back"
            assert not (held and Event.FLAPPING in events), "flapping is told once"
            if Event.FLAPPING in events:
                assert trouble.live.flapping_since == trouble.now
                assert MARKS.percent(trouble.live.flips, trouble.now) >= MARKS.high
            if held and (trouble.live is None or trouble.live.flapping_since is None):
                flips = trouble.live.flips if trouble.live else trouble.flips
                assert MARKS.percent(flips, trouble.now) <= MARKS.low
                assert finding is not GONE
            known_bad = (known_bad or bool(TOLD & set(events))) and Event.RESOLVED not in events
            assert not known_bad or trouble.live is not None, "the end is told to whoever was told"
    if last is BAD:
        assert (trouble.live.state, known_bad) == (State.OPEN, True)
    else:
        assert (trouble.live, known_bad) == (None, False)


@pytest.mark.usefixtures("committed")
def test_over_several_alerts_people_hear_of_flapping_once_and_of_its_end(asset, rule, now):
    web = asset()
    condition = {"metric_name": "cpu_usage_percent", "operator": "gt", "threshold": 80, "time_window": 50}
    webhook = {"type": "webhook", "config": {"url": "http://127.0.0.1:1/hook"}}
    cpu = rule(metric_conditions=[condition], notification_channels=[webhook])
    values = [90, 20, 90, 20, 90, 20, 90, 20, 90, 20, *[20] * 20]
    for place, value in enumerate(values):
        measure(web, value, now + place * MINUTE)
        evaluate(now + place * MINUTE)
        if place == 9:
            flapping = AlertInstance.objects.exclude(status="resolved").get()
    kinds = NotificationDelivery.objects.order_by("event_id").values_list("event__kind", flat=True)
    assert list(kinds) == [*["opened", "resolved"] * 3, "flapping", "resolved"]
    assert (flapping.status, len(flapping.flips), AlertInstance.objects.count()) == ("suppressed", 10, 4)
    said = AlertEvent.objects.get(kind="flapping").note
    assert said == "Flapping: 7 changes in the last 20 evaluations; people are told when it settles."
    assert not AlertInstance.objects.exclude(status="resolved").exists()
    assert AlertRule.objects.get() == cpu
