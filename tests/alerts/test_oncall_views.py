"""The console's on-call calendar, overrides, and how one says how one is reached."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alerts.models import ContactPreference, OnCallOverride, OnCallSchedule
from tests.answers import queries_of
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
PAGE, CONTACT = "/admin/monitoring/alerts/on-call", "/admin/monitoring/alerts/contact"
NEW = f"{PAGE}/overrides/new"


@pytest.fixture
def schedule(person) -> OnCallSchedule:
    for name in ("ana", "ben"):
        person(username=name)
    layers = [{"users": ["ana", "ben"], "starts_at": "2026-03-02T09:00"}]
    return OnCallSchedule.objects.create(schedule_name="ops", timezone="Europe/Berlin", layers=layers)


def test_the_calendar_shows_who_is_on_call_and_when_it_is_handed_over(signed_in, schedule):
    page = signed_in(Role.VIEWER).get(PAGE, {"week": "2026-03-04"}).content.decode()
    cells = [cell.split("</td>")[0] for cell in page.split("<td>")[1:]]
    assert len(cells) == 21
    assert ("2 Mar" in cells[0], "09:00</span> ana" in cells[0]) == (True, True)
    assert ("ana" in cells[1], "09:00" in cells[1]) == (True, False)
    assert ("ana" in cells[7], "09:00</span> ben" in cells[7]) == (True, True)
    assert "Now: <strong>" in page
    assert NEW not in page


@pytest.mark.parametrize("week", ["", "soon", "0001-01-01", "9999-12-31"])
def test_a_week_that_does_not_exist_shows_this_one(signed_in, schedule, week):
    assert signed_in(Role.VIEWER).get(PAGE, {"week": week}).status_code == 200


def test_an_override_is_made_on_the_wall_clock_of_the_schedule_and_ended(signed_in, schedule):
    client = signed_in(Role.OPS_ENGINEER)
    assert str(schedule.pk) in client.get(NEW, {"schedule": schedule.pk}).content.decode()
    said = {"schedule": schedule.pk, "username": "ben", "begins": "2026-07-01T09:00", "ends": "2026-07-02T09:00"}
    assert client.post(NEW, said).status_code == 302
    made = OnCallOverride.objects.get()
    assert (made.person.username, made.starts_at) == ("ben", datetime(2026, 7, 1, 7, tzinfo=UTC))
    now = datetime.now(UTC)
    OnCallOverride.objects.update(starts_at=now - timedelta(hours=1), ends_at=now + timedelta(hours=1))
    assert "override" in client.get(PAGE).content.decode()
    assert client.post(f"{PAGE}/overrides/{made.pk}/end").status_code == 302
    made.refresh_from_db()
    assert made.ends_at <= datetime.now(UTC)
    later = OnCallOverride.objects.create(
        schedule=schedule, person=made.person, starts_at=now + timedelta(days=1), ends_at=now + timedelta(days=2)
    )
    client.post(f"{PAGE}/overrides/{later.pk}/end")
    assert OnCallOverride.objects.get() == made


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"username": "nobody"}, "Nobody has this user name."),
        ({"ends": "2026-06-01T09:00"}, "after the start"),
        ({"begins": ""}, "required"),
        ({"schedule": "x"}, "valid"),
    ],
)
def test_an_override_that_makes_no_sense_says_why(signed_in, schedule, change, said):
    sent = {"schedule": schedule.pk, "username": "ben", "begins": "2026-07-01T09:00", "ends": "2026-07-02T09:00"}
    answer = signed_in(Role.SRE).post(NEW, sent | change)
    assert (answer.status_code, said in answer.content.decode()) == (422, True)


def test_more_schedules_take_no_more_queries(signed_in, schedule, person):
    client = signed_in(Role.VIEWER)
    before = queries_of(client, PAGE)
    for number in range(8):
        other = OnCallSchedule.objects.create(schedule_name=f"team {number}", layers=schedule.layers)
        now = datetime.now(UTC)
        OnCallOverride.objects.create(schedule=other, person=person(), starts_at=now, ends_at=now + timedelta(hours=1))
    assert queries_of(client, PAGE) <= before


def test_one_says_how_one_is_reached_and_keeps_what_the_form_does_not_show(signed_in, person):
    ana = person(username="ana")
    hook = {"type": "webhook", "config": {"url": "https://hooks.example.com", "secret": "hush"}}
    ContactPreference.objects.create(user=ana, channels=[hook])
    client = signed_in(user=ana)
    assert client.get(CONTACT).status_code == 200
    said = {
        "recipients": "ana@example.com", "minimum_severity": "high", "zone": "Europe/Berlin", "quiet_from": "22:00",
        "quiet_until": "07:00",
    }  # fmt: skip
    assert client.post(CONTACT, said).status_code == 302
    stored = ContactPreference.objects.get()
    assert [one["type"] for one in stored.channels] == ["email", "webhook"]
    assert stored.quiet_hours == {"timezone": "Europe/Berlin", "start": "22:00", "end": "07:00"}
    page = client.get(CONTACT).content.decode()
    assert ("ana@example.com" in page, "22:00" in page) == (True, True)
    for wrong in ({"zone": "Mars/Olympus"}, {"recipients": "ana"}, {"quiet_until": "22:00"}):
        assert client.post(CONTACT, said | wrong).status_code == 422, wrong
