"""The dead man's switch: it signals while the system works, and is silent when a part does not."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.core.exceptions import ValidationError

from alerts.models import RuleEvaluation
from tests.receivers import Receiver
from tests.wedsync_monitor import stored
from wedsync_monitor import dead_mans_switch
from wedsync_monitor.models import DeadMansSwitch
from wedsync_monitor.outgoing import Answer, Unreachable
from wedsync_monitor.readiness import BEAT_SEEN, EVALUATOR_SEEN

pytestmark = pytest.mark.usefixtures("database")
URL = f"https://signals.example.com/{stored.SECRET}"


class Outside:
    """What is on the other side of the switch."""

    def __init__(self):
        self.status, self.error, self.asked = 200, None, []

    def __call__(self, method, url):
        self.asked.append((method, url))
        if self.error:
            raise self.error
        return Answer(self.status, {}, b"OK")


@pytest.fixture
def outside():
    return Outside()


@pytest.fixture
def switch(now):
    return DeadMansSwitch.objects.create(switch_name="outside", target={"url": URL}, next_signal_at=now)


def signal(now, outside, problems=()):
    sent = dead_mans_switch.signal_due(now, outside, lambda _: list(problems))
    switch = DeadMansSwitch.objects.get()
    return sent, switch


def test_it_signals_once_an_interval(switch, outside, now):
    assert signal(now, outside)[0] == 1
    assert signal(now + timedelta(seconds=59), outside)[0] == 0
    sent, after = signal(now + timedelta(seconds=60), outside)
    assert (sent, after.last_sent_at, after.last_answer) == (1, now + timedelta(seconds=60), "answered 200")
    assert outside.asked == [("GET", URL)] * 2


def test_what_is_broken_holds_it_back_until_it_works_again(switch, outside, now):
    _, held = signal(now, outside, ["beat has not ticked for 40 s"])
    assert (held.held_back_since, held.held_back_because) == (now, "beat has not ticked for 40 s")
    later = now + dead_mans_switch.RETRY
    _, held = signal(later, outside, ["the evaluator has not evaluated for 50 s"])
    assert (held.held_back_since, held.held_back_because) == (now, "the evaluator has not evaluated for 50 s")
    assert outside.asked == []
    _, free = signal(later + dead_mans_switch.RETRY, outside)
    assert (free.held_back_since, free.held_back_because) == (None, "")
    assert len(outside.asked) == 1


@pytest.mark.parametrize("failure", [404, Unreachable("signals.example.com: TimeoutError")])
def test_a_signal_that_does_not_arrive_is_told_and_tried_again_soon(switch, outside, now, failure):
    if isinstance(failure, int):
        outside.status = failure
    else:
        outside.error = failure
    sent, after = signal(now, outside)
    assert (sent, after.last_sent_at) == (0, None)
    assert after.last_answer in ("answered 404", "signals.example.com: TimeoutError")
    assert after.next_signal_at == now + dead_mans_switch.RETRY


def test_one_that_is_off_is_silent(switch, outside, now):
    DeadMansSwitch.objects.update(is_enabled=False)
    assert signal(now, outside)[0] == 0
    assert outside.asked == []


def test_a_real_receiver_gets_the_signal_through_the_one_way_out(now, settings):
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with Receiver() as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        target = {"url": receiver.url, "method": "POST"}
        DeadMansSwitch.objects.create(switch_name="outside", target=target, next_signal_at=now)
        assert dead_mans_switch.signal_due(now, problems=lambda _: []) == 1
        receiver.shutdown()
    assert len(receiver.got) == 1


def test_its_address_is_a_secret_and_one_that_cannot_be_reached_is_refused(switch):
    with_address = DeadMansSwitch.objects.filter(target__url=URL)
    assert not with_address.exists()
    for url in ("http://169.254.169.254/", "http://10.0.0.1/", "ftp://example.com", "nonsense"):
        with pytest.raises(ValidationError):
            DeadMansSwitch(switch_name="bad", target={"url": url}).full_clean()
    switch.refresh_from_db()
    switch.full_clean()


def test_every_part_of_the_way_holds_it_back(now):
    cache.set(BEAT_SEEN, time.time(), timeout=None)
    cache.delete(EVALUATOR_SEEN)
    (problem,) = dead_mans_switch.what_is_broken(now)
    assert "evaluator" in problem
    cache.set(EVALUATOR_SEEN, time.time(), timeout=None)
    (problem,) = dead_mans_switch.what_is_broken(now)
    assert "heartbeat" in problem
    from alerts.defaults import create_heartbeat_rule
    from alerts.vitals import HEARTBEAT_RULE

    create_heartbeat_rule()
    kept = RuleEvaluation(rule_id=HEARTBEAT_RULE, next_evaluation_at=now, last_evaluated_at=now, last_error="Boom")
    kept.save()
    assert dead_mans_switch.what_is_broken(now) == ["the heartbeat was not evaluated: Boom"]
