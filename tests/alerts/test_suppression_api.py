"""Silences and what people do with maintenance windows over REST; calendars in and out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alerts.models import MaintenanceWindow, Silence
from tests.answers import fields_of, is_problem, queries_of
from wedsync_monitor.models import AuditEntry
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
SILENCES, WINDOWS = "/api/monitoring/alerts/silences", "/api/monitoring/maintenance-windows"
CALENDAR = f"{WINDOWS}/calendar.ics"
NOW = datetime.now(UTC).replace(microsecond=0)


def silence(**columns):
    return {
        "matchers": [{"name": "asset", "value": "web-.*", "is_regex": True}],
        "starts_at": NOW.isoformat(),
        "ends_at": (NOW + timedelta(hours=2)).isoformat(),
        "comment": "disk is being replaced",
    } | columns


def window(**columns) -> MaintenanceWindow:
    given = {"window_name": "work", "start_time": NOW - timedelta(hours=1), "end_time": NOW + timedelta(hours=1)}
    return MaintenanceWindow.objects.create(**(given | columns))


def test_a_silence_is_made_changed_and_ended_and_says_who_made_it(api):
    client = api(Role.DEVELOPER)
    made = client.post(SILENCES, silence(), format="json")
    assert made.status_code == 201, made.data
    assert made.data["created_by"] == Silence.objects.get().created_by.username
    end = {"ends_at": (NOW + timedelta(minutes=1)).isoformat()}
    ended = client.patch(f"{SILENCES}/{made.data['id']}", end, format="json")
    assert ended.status_code == 200
    listed = client.get(SILENCES, {"from": (NOW + timedelta(hours=1)).isoformat()})
    assert listed.data["silences"] == []
    assert AuditEntry.objects.filter(object_id=made.data["id"]).count() == 2


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"matchers": []}, "matchers"),
        ({"matchers": [{"name": "asset", "value": "(", "is_regex": True}]}, "matchers"),
        ({"matchers": [{"name": "asset", "value": ".*", "is_regex": True}]}, "matchers"),
        ({"matchers": [{"name": "asset", "valeu": "a"}]}, "matchers"),
        ({"ends_at": NOW.isoformat()}, ""),
        ({"comment": ""}, "comment"),
    ],
)
def test_a_silence_that_makes_no_sense_is_refused(api, columns, field):
    answer = api(Role.SRE).post(SILENCES, silence(**columns), format="json")
    assert is_problem(answer, 400)
    assert any(name.startswith(field) for name in fields_of(answer)) or not field
    assert not Silence.objects.exists()


def test_silences_are_listed_in_as_many_queries_whatever_their_number(api, person):
    client, author = api(Role.VIEWER), person(Role.SRE)
    counts = []
    for _ in range(2):
        for _ in range(5):
            Silence.objects.create(
                matchers=silence()["matchers"],
                starts_at=NOW,
                ends_at=NOW + timedelta(1),
                comment="c",
                created_by=author,
            )
        counts.append(queries_of(client, SILENCES))
    assert counts[0] == counts[1]


def test_a_window_is_started_early_prolonged_and_ended(api):
    client = api(Role.OPS_ENGINEER)
    one = window(start_time=NOW + timedelta(hours=3), end_time=NOW + timedelta(hours=4))
    assert client.post(f"{WINDOWS}/{one.pk}/end", {}, format="json").status_code == 409
    started = client.post(f"{WINDOWS}/{one.pk}/start")
    assert (started.status_code, started.data["status"]) == (200, "active")
    until = (NOW + timedelta(hours=6)).isoformat()
    assert client.post(f"{WINDOWS}/{one.pk}/extend", {"until": until}, format="json").status_code == 200
    ended = client.post(f"{WINDOWS}/{one.pk}/end", {"completion_notes": "went well"}, format="json")
    assert (ended.data["status"], ended.data["completion_notes"]) == ("completed", "went well")
    again = client.post(f"{WINDOWS}/{one.pk}/cancel")
    assert is_problem(again, 409)


def test_a_window_that_never_happens_is_refused(api):
    body = {
        "window_name": "never", "start_time": "2026-12-01T22:00:00Z", "end_time": "2026-12-01T23:00:00Z",
        "recurrence_config": {"rrule": "FREQ=WEEKLY;UNTIL=20200101T000000Z", "timezone": "Europe/Berlin"},
    }  # fmt: skip
    answer = api(Role.SRE).post(WINDOWS, body, format="json")
    assert is_problem(answer, 400)
    assert fields_of(answer) == {"recurrence_config"}


def planned() -> dict:
    rows = MaintenanceWindow.objects.all()
    return {one.window_name: (one.start_time, one.end_time, one.recurrence_config) for one in rows}


def test_windows_leave_as_a_calendar_and_come_back_the_same(api):
    client = api(Role.SRE)
    window(recurrence_config={"rrule": "FREQ=WEEKLY;BYDAY=SU", "timezone": "Europe/Berlin"}, description="patches")
    window(window_name="once")
    exported = client.get(CALENDAR)
    assert exported["Content-Type"].startswith("text/calendar")
    before = planned()
    MaintenanceWindow.objects.all().delete()
    imported = client.post(CALENDAR, exported.content, content_type="text/calendar")
    assert imported.data == {"created": 2, "updated": 0, "refused": []}
    assert planned() == before
    again = client.post(CALENDAR, exported.content, content_type="text/calendar")
    assert again.data == {"created": 0, "updated": 2, "refused": []}


def event(uid: str, *lines: str) -> str:
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", "DTSTART:20261201T220000Z", *lines, "END:VEVENT"])


def test_an_event_that_cannot_be_followed_is_refused_by_itself(api):
    body = "\r\n".join(
        [
            "BEGIN:VCALENDAR", "VERSION:2.0",
            event("good", "DURATION:PT1H", "SUMMARY:good"),
            event("backwards", "DTEND:20261201T210000Z"),
            event("often", "DURATION:PT1H", "RRULE:FREQ=MINUTELY"),
            event("holes", "DURATION:PT1H", "RRULE:FREQ=DAILY", "EXDATE:20261202T220000Z"),
            "END:VCALENDAR", "",
        ]
    )  # fmt: skip
    answer = api(Role.SRE).post(CALENDAR, body.encode(), content_type="text/calendar")
    assert answer.data["created"] == 1
    assert [one["uid"] for one in answer.data["refused"]] == ["backwards", "often", "holes"]
    assert MaintenanceWindow.objects.get().window_name == "good"


@pytest.mark.parametrize("body", [b"", b"hello", b"BEGIN:VCALENDAR", b"\xff\xfe", b"x" * (2 << 20)])
def test_a_body_that_is_no_calendar_is_refused(api, body):
    answer = api(Role.SRE).post(CALENDAR, body, content_type="text/calendar")
    assert answer.status_code == 400
    assert not MaintenanceWindow.objects.exists()
