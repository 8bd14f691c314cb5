"""Whether a person was told of an alert, or the reason why not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts import told
from alerts.conditions import EscalationStep
from alerts.models import AlertEvent, AlertInstance, AlertRule, NotificationDelivery
from alerts.told import History, Listener, answer
from wedsync_monitor.models import User

NOW = datetime(2026, 6, 13, 3, 0, tzinfo=UTC)
SEVEN = NOW + timedelta(hours=4)
ANA = Listener("ana", "ana@example.com", frozenset({"email-ana"}), frozenset({"primary"}))
TEAM = {"type": "email", "config": {"recipients": ["team@example.com"]}}
MAIL = {"type": "email", "config": {"recipients": ["Ana@example.com"]}}


def event(kind: str, note: str = "", actor: str = "", **data: Any) -> AlertEvent:
    return AlertEvent(pk=1, kind=kind, at=NOW, note=note, actor=User(username=actor) if actor else None, data=data)


def message(channel: dict[str, Any] = MAIL, of: AlertEvent | None = None, **columns: Any) -> NotificationDelivery:
    key = "email-ana" if channel is MAIL else "email-team"
    made = NotificationDelivery(event=of or event("opened"), channel=channel, channel_key=key, **columns)
    made.together = 25 if made.told_by_id else None  # type: ignore[attr-defined]
    return made


def history(*events: AlertEvent, messages: Any = (), steps: Any = (), status: str = "open", **columns: Any) -> History:
    for place, one in enumerate(events):
        one.pk = place
    alert = AlertInstance(alert_rule=AlertRule(rule_name="cpu"), status=status, **columns)
    return History(alert, steps, "night", list(events), list(messages))


def asked(**said: Any) -> dict[str, Any]:
    one = {"person": "ana", "schedule": "", "channels": [], "until": None, "reason": ""} | said
    return {"step": 1, "asked": [one], "on_call": {}}


QUIET = event("escalated", **asked(channels=["email-ana"], until=SEVEN.isoformat()))
SUMMARY = NotificationDelivery()
CASES = {
    "told": (
        history(event("opened"), messages=[message(status="delivered", delivered_at=NOW)]),
        "Told by email A…@example.com at 2026-06-13 03:00:00 UTC.",
    ),
    "told in a summary": (
        history(messages=[message(status="delivered", delivered_at=NOW, told_by=SUMMARY)]),
        f"03:00:00 UTC, grouped into message {SUMMARY.pk} with 24 others.",
    ),
    "quiet hours": (
        history(QUIET, messages=[message(of=QUIET, next_attempt_at=SEVEN)]),
        "quiet hours hold warnings until 2026-06-13 07:00:00 UTC",
    ),
    "a try that failed": (
        history(messages=[message(attempts=2, last_error="refused.", next_attempt_at=SEVEN)]),
        "try 2 failed (refused); the next is at 2026-06-13 07:00:00 UTC.",
    ),
    "a full channel": (
        history(messages=[message(last_error="Held back: limit.", next_attempt_at=SEVEN)]),
        "Held back: limit; it goes at 2026-06-13 07:00:00 UTC.",
    ),
    "given up": (
        history(messages=[message(status="failed", attempts=3, last_error="no such mailbox")]),
        "given up after 3 tries: no such mailbox",
    ),
    "preferences": (
        history(event("escalated", **asked(reason="wants to be told from severity high on"))),
        "Not told: wants to be told from severity high on (step 1 at 2026-06-13 03:00:00 UTC).",
    ),
    "a maintenance window": (
        history(event("suppressed", "Maintenance window X until 05:00 UTC."), status="suppressed"),
        "Not told: Maintenance window X until 05:00 UTC.",
    ),
    "its parent is down": (
        history(event("suppressed", "Held back: db-01, on which it depends, is down (Host down)."), status="resolved"),
        "Not told: Held back: db-01, on which it depends, is down (Host down).",
    ),
    "the suppression period": (
        history(event("opened", "Not told: the same trouble ended less than 600 s before (suppression period).")),
        "Not told: the same trouble ended less than 600 s before (suppression period).",
    ),
    "somebody else on call": (
        history(event("opened"), event("escalated", step=1, asked=[], on_call={"primary": "bo"})),
        "Not told: not on call at that time: bo was on call by primary.",
    ),
    "nobody on call": (
        history(event("opened"), event("escalated", step=1, asked=[], on_call={"primary": None})),
        "nobody was on call by primary",
    ),
    "acknowledged before": (
        history(
            event("opened"), event("acknowledged", actor="bo"), messages=[message(TEAM)],
            steps=[EscalationStep(5, users=["ana"])],
        ),
        "step 1 of night, which could name ana, was not reached: the alert was acknowledged by bo at",
    ),
    "not due yet": (
        history(event("opened"), steps=[EscalationStep(5, schedules=["primary"])], next_escalation_at=SEVEN),
        "is not due before 2026-06-13 07:00:00 UTC.",
    ),
    "no channel": (
        history(event("opened"), messages=[message(TEAM, status="delivered")]),
        "Not told: the rule cpu has no channel to this person; it told email t…@example.com.",
    ),
    "no channel at all": (history(event("opened")), "the rule cpu has no channel to this person, nor to anybody."),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_every_reason_is_a_sentence(case):
    found, said = CASES[case]
    answered = answer(found, ANA)
    assert said in answered.sentence
    assert answered.sentence.endswith((".", "no such mailbox"))
    expected = {"told": told.TOLD, "told in a summary": told.TOLD, "given up": told.FAILED}
    waiting = dict.fromkeys(("quiet hours", "a try that failed", "a full channel"), told.WAITING)
    assert answered.outcome == (expected | waiting).get(case, told.NOT_TOLD)
