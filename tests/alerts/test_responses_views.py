"""Snoozing, assigning and commenting in the console, and what its list does with many alerts at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.messages import get_messages

from alerts.models import AlertEvent, AlertInstance
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
LIST = "/admin/monitoring/alerts"
BULK = f"{LIST}/bulk"


def said(answer) -> list[str]:
    return [str(one) for one in get_messages(answer.wsgi_request)]


def test_an_alert_is_snoozed_assigned_and_commented_on(signed_in, person, alert, asset, now):
    ben, one = person(Role.DEVELOPER, username="ben"), alert(asset())
    client = signed_in(user=ben)
    page = client.get(f"{LIST}/{one.pk}").content.decode()
    assert all(f"{LIST}/{one.pk}/{deed}" in page for deed in ("snooze", "assign", "comment"))
    assert client.post(f"{LIST}/{one.pk}/assign", {"assignee": "ben"}).status_code == 302
    assert client.post(f"{LIST}/{one.pk}/comment", {"comment": "the disk"}).status_code == 302
    assert client.post(f"{LIST}/{one.pk}/snooze", {"minutes": 60, "note": "lunch"}).status_code == 302
    one.refresh_from_db()
    assert (one.status, one.assigned_to) == ("suppressed", ben)
    assert timedelta(minutes=58) < one.snoozed_until - now < timedelta(minutes=62)
    notes = list(AlertEvent.objects.order_by("pk").values_list("kind", "note"))
    assert notes[:2] == [("assigned", "To ben."), ("commented", "the disk")]
    assert notes[2][1].endswith("UTC. lunch")
    assert "the disk" in client.get(f"{LIST}/{one.pk}").content.decode()


def test_what_cannot_be_done_is_said_in_the_dialog_or_after(signed_in, alert, asset, now):
    client, one = signed_in(Role.SRE), alert(asset(), status="resolved", resolved_at=now)
    assert "Nobody has this user name" in client.post(f"{LIST}/{one.pk}/assign", {"assignee": "x"}).content.decode()
    refused = client.post(f"{LIST}/{one.pk}/snooze", {"minutes": 60})
    assert said(refused) == ["An alert that is resolved cannot be snoozed."]


@pytest.mark.parametrize(
    ("action", "status"),
    [("acknowledge", "acknowledged"), ("resolve", "resolved"), ("snooze-60", "suppressed"), ("assign", "open")],
)
def test_ticked_alerts_are_changed_together(signed_in, alert, asset, action, status):
    web = asset()
    ticked, left = [alert(web), alert(web)], alert(web)
    sent = {"action": action, "note": "storm", "ids": [one.pk for one in ticked]}
    answer = signed_in(Role.DEVELOPER).post(f"{BULK}?severity=high", sent)
    assert answer["Location"] == f"{LIST}?severity=high"
    assert said(answer) == ["Done with 2 of 2 alerts."]
    for one in [*ticked, left]:
        one.refresh_from_db()
    assert [one.status for one in ticked] == [status, status]
    assert all((one.assigned_to is not None) is (action == "assign") for one in ticked)
    assert (left.status, left.assigned_to) == ("open", None)


def test_all_that_match_the_filter_are_changed_and_nothing_else(signed_in, alert, asset):
    web = asset()
    high, low = alert(web, severity="high"), alert(web, severity="low")
    signed_in(Role.DEVELOPER).post(f"{BULK}?severity=high", {"action": "acknowledge", "everything": "on"})
    assert AlertInstance.objects.get(pk=high.pk).status == "acknowledged"
    assert AlertInstance.objects.get(pk=low.pk).status == "open"


def test_partial_failures_and_empty_choices_are_said(signed_in, alert, asset):
    client, web = signed_in(Role.DEVELOPER), asset()
    held = [alert(web, status="suppressed"), alert(web)]
    answer = client.post(f"{BULK}?status=all", {"action": "acknowledge", "ids": [one.pk for one in held]})
    assert said(answer) == [
        "Done with 1 of 2 alerts.",
        "1 not changed: An alert that is suppressed cannot be acknowledged; snooze it.",
    ]
    assert said(client.post(BULK, {"action": "acknowledge", "ids": ["x"]}))[-1] == "No alert was chosen."
    resolving = client.post(BULK, {"action": "resolve", "ids": [held[0].pk]})
    assert said(resolving)[-1] == "Say what was done: a resolution needs a note."


def test_whoever_may_only_look_has_no_boxes_to_tick(signed_in, alert, asset):
    one = alert(asset())
    assert 'name="ids"' in signed_in(Role.DEVELOPER).get(LIST).content.decode()
    viewer = signed_in(Role.VIEWER)
    assert 'name="ids"' not in viewer.get(LIST).content.decode()
    assert viewer.post(BULK, {"action": "acknowledge", "ids": [one.pk]}).status_code == 403
