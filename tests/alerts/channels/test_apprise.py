"""Apprise's services go out by the one way out, or not at all."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from alerts.channels import CHANNELS, NotDelivered, apprise
from alerts.models import AlertRule, EscalationPolicy


def send(receiver, message, scheme="json", path="/hook"):
    CHANNELS["apprise"]({"url": f"{scheme}://127.0.0.1:{receiver.server_port}{path}"}, message)


def test_a_service_gets_the_message(receiver, message):
    send(receiver, message())
    said = json.loads(receiver.got[0][1])
    assert (said["title"], said["type"]) == ("[HIGH] CPU usage is 93 % on web-01", "failure")
    assert said["message"].splitlines() == ["web-01 · production · High CPU usage", "It is.", message().link]
    send(receiver, message(event="resolved"))
    assert json.loads(receiver.got[1][1])["type"] == "success"


@pytest.mark.parametrize("scheme", ["json", "xml", "form", "gotify", "mmost", "ntfy"])
def test_no_service_reaches_a_private_network_that_is_not_allowed(receiver, message, settings, scheme):
    settings.OUTGOING_ALLOWED_NETWORKS = []
    with pytest.raises(NotDelivered, match="WEDSYNC_ALLOWED_NETWORKS") as failure:
        send(receiver, message(), scheme, "/3ccdd113474722377935511fc85d3dd4")
    assert not failure.value.permanent
    assert receiver.got == []


def test_a_redirect_is_not_followed(receiver, message):
    receiver.answers = [(307, {"Location": "http://169.254.169.254/latest"})]
    with pytest.raises(NotDelivered, match="307"):
        send(receiver, message())
    assert len(receiver.got) == 1


def test_a_throttled_service_is_asked_again_after_its_wish(receiver, message):
    receiver.answers = [(429, {"Retry-After": "30"})]
    with pytest.raises(NotDelivered) as failure:
        send(receiver, message())
    assert (failure.value.permanent, failure.value.retry_after) == (False, timedelta(seconds=30))


def test_a_service_that_knows_no_such_receiver_is_given_up(receiver, message):
    receiver.answers = [(404, {})]
    with pytest.raises(NotDelivered) as failure:
        send(receiver, message())
    assert failure.value.permanent


@pytest.mark.parametrize(
    "url",
    [
        "mailto://user:password@example.com",  # opens SMTP itself
        "syslog://localhost",
        "rsyslog://10.0.0.1",
        "mqtt://10.0.0.1/topic",
        "dbus://",
        "matrix://user:password@example.com/#room",
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js?template=/etc/passwd",
        "tgram://123456789:abcdefg_hijklmnop/12315544/?template=file:///etc/passwd",
        "json://localhost/?attach=/etc/passwd",
        "nonsense://somewhere",
        "json://[::1",
        "",
    ],
)
def test_what_does_not_go_over_http_alone_is_refused(url):
    assert apprise.problem_with(url)


@pytest.mark.parametrize(
    "url",
    [
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
        "tgram://123456789:abcdefg_hijklmnop/12315544/",
        "ntfy://topic",
        "pover://user@token",
    ],
)
def test_usual_services_can_be_used(url):
    assert apprise.problem_with(url) is None


def test_a_wrong_url_is_refused_where_it_is_stored(rule):
    wrong = {"type": "apprise", "config": {"url": "rsyslog://10.0.0.1"}}
    with pytest.raises(ValidationError, match="HTTP alone"):
        rule("cpu", notification_channels=[wrong])
    with pytest.raises(ValidationError, match="HTTP alone"):
        EscalationPolicy.objects.create(
            policy_name="p", escalation_steps=[{"delay_minutes": 5, "notification_channels": [wrong]}]
        )


def test_the_url_rests_sealed(rule):
    made = rule("cpu", notification_channels=[{"type": "apprise", "config": {"url": "json://user:hush@example.com"}}])
    assert "hush" not in json.dumps(AlertRule.objects.values_list("notification_channels", flat=True).get())
    made.save()


def test_no_token_gets_into_the_log(receiver, message, caplog):
    receiver.answers = [(500, {})]
    with pytest.raises(NotDelivered):
        send(receiver, message(), path="/hush-hush")
    apprise.problem_with("syslog://hush-hush")
    assert "hush-hush" not in caplog.text
