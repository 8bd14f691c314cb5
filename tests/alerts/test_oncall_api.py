"""On-call schedules, shifts, overrides and contact preferences over REST."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import icalendar
import pytest

from alerts.models import ContactPreference, OnCallOverride, OnCallSchedule
from tests.answers import fields_of, is_problem, queries_of
from wedsync_monitor.models import AuditEntry
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("people")
SCHEDULES, OVERRIDES = "/api/monitoring/alerts/on-call/schedules", "/api/monitoring/alerts/on-call/overrides"
MINE = "/api/monitoring/alerts/contact-preferences/mine"
OPS = {
    "schedule_name": "ops",
    "timezone": "Europe/Berlin",
    "layers": [{"users": ["ana", "ben"], "starts_at": "2026-03-02T09:00"}],
}
# A Monday after the clocks went forward, half an hour before ben hands over.
AT = datetime(2026, 3, 30, 6, 30, tzinfo=UTC)


@pytest.fixture
def people(person):
    return [person(username="ana"), person(username="ben")]


@pytest.fixture
def operator(api):
    return api(Role.OPS_ENGINEER)


@pytest.fixture
def schedule(people) -> OnCallSchedule:
    return OnCallSchedule.objects.create(**OPS)


def test_a_schedule_is_made_changed_and_removed_and_that_is_audited(operator):
    made = operator.post(SCHEDULES, OPS, format="json")
    assert made.status_code == 201, made.data
    one = f"{SCHEDULES}/{made.data['id']}"
    assert operator.patch(one, {"timezone": "UTC"}, format="json").data["timezone"] == "UTC"
    assert [row["schedule_name"] for row in operator.get(SCHEDULES).data["schedules"]] == ["ops"]
    assert operator.delete(one).status_code == 204
    assert AuditEntry.objects.filter(object_id=made.data["id"]).count() == 3


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"layers": []}, "layers"),
        ({"layers": [{"users": [], "starts_at": "2026-03-02T09:00"}]}, "layers[0].users"),
        ({"layers": [{"users": ["ana"], "starts_at": "tomorrow"}]}, "layers[0].starts_at"),
        ({"layers": [{"users": ["ana"], "starts_at": "2026-02-30T09:00"}]}, "layers"),
        ({"layers": [{"users": ["nobody"], "starts_at": "2026-03-02T09:00"}]}, "layers"),
        ({"layers": [{"users": ["ana"], "starts_at": "2026-03-02T09:00", "rotation": "custom"}]}, "layers"),
        ({"schedule_name": ""}, "schedule_name"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_schedule_that_cannot_be_followed_is_refused(operator, change, field):
    assert fields_of(operator.post(SCHEDULES, OPS | change, format="json")) == {field}


def test_who_is_on_call_at_a_moment_and_now(api, schedule):
    viewer, url = api(Role.VIEWER), f"{SCHEDULES}/{schedule.pk}/on-call"
    shift = viewer.get(url, {"at": AT.isoformat()}).data["shift"]
    assert (shift["person"], shift["end"], shift["overridden"]) == ("ben", "2026-03-30T07:00:00.000000Z", False)
    assert viewer.get(url, {"at": "2026-03-01T00:00:00Z"}).data["shift"] is None
    assert viewer.get(url).data["shift"]["person"] in ("ana", "ben")
    assert is_problem(viewer.get(url, {"at": "tomorrow"}), 400)
    assert is_problem(viewer.get(url, {"when": AT.isoformat()}), 400)


def test_an_override_is_made_and_counts(operator, schedule):
    said = {"schedule_id": str(schedule.pk), "person": "ana", "starts_at": AT.isoformat()}
    over = operator.post(OVERRIDES, said | {"ends_at": (AT + timedelta(hours=2)).isoformat()}, format="json")
    assert over.status_code == 201, over.data
    shift = operator.get(f"{SCHEDULES}/{schedule.pk}/on-call", {"at": AT.isoformat()}).data["shift"]
    assert (shift["person"], shift["overridden"]) == ("ana", True)
    assert OnCallOverride.objects.get().created_by is not None
    assert fields_of(operator.patch(f"{OVERRIDES}/{over.data['id']}", {"person": "nobody"}, format="json")) == {
        "person"
    }
    back = operator.patch(f"{OVERRIDES}/{over.data['id']}", {"ends_at": AT.isoformat()}, format="json")
    assert is_problem(back, 400)
    assert operator.get(OVERRIDES, {"person": "ben"}).data["overrides"] == []


def test_shifts_are_listed_and_bounded(operator, schedule):
    url = f"{SCHEDULES}/{schedule.pk}/shifts"
    found = operator.get(url, {"from": "2026-03-02T08:00:00Z", "to": "2026-03-23T08:00:00Z"}).data["shifts"]
    assert [shift["person"] for shift in found] == ["ana", "ben", "ana"]
    assert is_problem(operator.get(url, {"from": "2026-03-02T08:00:00Z", "to": "2036-03-02T08:00:00Z"}), 400)
    assert is_problem(operator.get(url, {"from": "2026-03-02T08:00:00Z", "to": "2026-03-01T08:00:00Z"}), 400)


def test_shifts_are_read_by_calendars(operator, schedule):
    answer = operator.get(f"{SCHEDULES}/{schedule.pk}/calendar.ics")
    events = icalendar.Calendar.from_ical(answer.content).walk("VEVENT")
    assert {str(event["summary"]) for event in events} == {"ana on call: ops", "ben on call: ops"}
    assert len({str(event["uid"]) for event in events}) == len(events) >= 14


def test_lists_take_as_many_queries_for_many_rows(operator, schedule, people):
    def grow(number: int) -> None:
        for _ in range(number):
            OnCallOverride.objects.create(
                schedule=schedule, person=people[0], starts_at=AT, ends_at=AT + timedelta(hours=1)
            )

    shifts = f"{SCHEDULES}/{schedule.pk}/on-call?at=2026-03-30T06:30:00Z"
    grow(2)
    before = [queries_of(operator, url) for url in (OVERRIDES, shifts)]
    grow(10)
    assert [queries_of(operator, url) for url in (OVERRIDES, shifts)] == before


def test_everybody_says_how_they_are_reached_themselves(api, person):
    cleo = person(username="cleo")
    client = api(user=cleo)
    assert client.get(MINE).data["minimum_severity"] == "low"
    hook = {"type": "webhook", "config": {"url": "https://hooks.example.com", "secret": "hush"}}
    said = {"channels": [hook], "quiet_hours": {"timezone": "Europe/Berlin", "start": "22:00", "end": "07:00"}}
    stored = client.put(MINE, said, format="json")
    assert stored.status_code == 200, stored.data
    assert stored.data["channels"][0]["config"]["secret"] == "********"
    assert client.put(MINE, {"minimum_severity": "high"}, format="json").data["channels"] == stored.data["channels"]
    assert ContactPreference.objects.get().user == cleo
    assert api(Role.VIEWER).get(MINE).data["channels"] == []


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"quiet_hours": {"timezone": "Mars/Olympus"}}, "quiet_hours"),
        ({"quiet_hours": {"start": "22:00", "end": "22:00"}}, "quiet_hours"),
        ({"quiet_hours": {"days": ["mon"]}}, "quiet_hours"),
        ({"minimum_severity": "apocalyptic"}, "minimum_severity"),
        ({"channels": [{"type": "pigeon"}]}, "channels[0].type"),
    ],
)
def test_preferences_that_make_no_sense_are_refused(operator, said, field):
    assert fields_of(operator.put(MINE, said, format="json")) == {field}


def test_a_masked_secret_that_was_never_stored_is_refused(operator):
    hook = {"type": "webhook", "config": {"url": "https://hooks.example.com", "secret": "********"}}
    assert is_problem(operator.put(MINE, {"channels": [hook]}, format="json"), 400)
