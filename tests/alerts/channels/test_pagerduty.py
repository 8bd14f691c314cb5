"""What PagerDuty gets, at a real receiver."""

from __future__ import annotations

import json

import pytest

from alerts.channels import NotDelivered, pagerduty

CONFIG = {"routing_key": "key"}


@pytest.fixture(autouse=True)
def at_the_receiver(receiver, monkeypatch):
    monkeypatch.setattr(pagerduty, "URL", receiver.url)


@pytest.mark.parametrize(
    ("event", "action"),
    [("opened", "trigger"), ("acknowledgement_expired", "trigger"), ("escalated", "trigger"),
     ("acknowledged", "acknowledge"), ("resolved", "resolve")],
)  # fmt: skip
def test_an_alert_is_one_incident_from_its_opening_to_its_end(message, receiver, event, action):
    pagerduty.send(CONFIG, message(event=event))
    said = json.loads(receiver.got[0][1])
    assert (said["event_action"], said["dedup_key"], said["routing_key"]) == (action, "rule:asset", "key")
    assert (said["payload"]["severity"], said["payload"]["source"]) == ("error", "web-01")


def test_an_event_without_a_word_is_never_taken_for_delivered(message, receiver):
    with pytest.raises(NotDelivered, match="no word for data_missing"):
        pagerduty.send(CONFIG, message(event="data_missing"))
    assert not receiver.got


def test_a_key_that_is_too_long_is_shortened_and_stays_the_same():
    assert len(pagerduty.dedup_key("x" * 300)) == 64
    assert pagerduty.dedup_key("x" * 300) == pagerduty.dedup_key("x" * 300)
