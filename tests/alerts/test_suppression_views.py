"""The console's pages of maintenance windows and silences."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.messages import get_messages

from alerts.models import MaintenanceWindow, Silence
from tests.answers import queries_of
from tests.wedsync_monitor import stored
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
WINDOWS, SILENCES = "/admin/monitoring/alerts/maintenance", "/admin/monitoring/alerts/silences"
NOW = datetime.now(UTC).replace(microsecond=0)
WORK = {
    "window_name": "patches", "maintenance_type": "planned", "impact_level": "low", "alert_suppression": "on",
    "zone": "Europe/Berlin", "begins": "2026-12-06T02:00", "ends": "2026-12-06T04:00", "rrule": "FREQ=WEEKLY;BYDAY=SU",
}  # fmt: skip


def window(**columns) -> MaintenanceWindow:
    given = {"window_name": "work", "start_time": NOW - timedelta(hours=1), "end_time": NOW + timedelta(hours=1)}
    return MaintenanceWindow.objects.create(**(given | columns))


def test_a_window_is_planned_on_the_wall_clock_of_its_zone(signed_in, asset):
    web = asset("web-01")
    client = signed_in(Role.OPS_ENGINEER)
    answer = client.post(f"{WINDOWS}/new", WORK | {"assets": "web-01"})
    assert answer.status_code == 302
    planned = MaintenanceWindow.objects.get()
    assert planned.start_time == datetime(2026, 12, 6, 1, tzinfo=UTC)
    assert planned.recurrence_config == {"rrule": "FREQ=WEEKLY;BYDAY=SU", "timezone": "Europe/Berlin"}
    assert planned.affected_assets == [str(web.pk)]
    page = client.get(f"{WINDOWS}/{planned.pk}").content.decode()
    assert "2026-12-06T02:00" in page
    assert "web-01" in page


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"zone": "Mars/Olympus"}, "is not a time zone"),
        ({"rrule": "FREQ=SECONDLY"}, "FREQ=DAILY"),
        ({"ends": "2026-12-06T01:00"}, "The end must be after the start"),
        ({"begins": "tomorrow"}, "Enter a valid date/time"),
        ({"assets": "web-99"}, "No asset has the name web-99"),
    ],
)
def test_a_window_that_makes_no_sense_says_what_to_write(signed_in, columns, said):
    answer = signed_in(Role.OPS_ENGINEER).post(f"{WINDOWS}/new", WORK | columns)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not MaintenanceWindow.objects.exists()


def test_buttons_prolong_and_end_a_window_and_say_so(signed_in):
    client, one = signed_in(Role.SRE), window()
    assert "1 hour more" in client.get(WINDOWS).content.decode()
    client.post(f"{WINDOWS}/{one.pk}/extend")
    one.refresh_from_db()
    assert one.actual_end_time == NOW + timedelta(hours=2)
    client.post(f"{WINDOWS}/{one.pk}/end")
    one.refresh_from_db()
    assert one.status == "completed"
    again = client.post(f"{WINDOWS}/{one.pk}/end")
    assert [str(one) for one in get_messages(again.wsgi_request)][-1] == "work does not run now."


def test_what_is_ahead_is_listed_in_as_many_queries_whatever_its_number(signed_in):
    client, counts = signed_in(Role.VIEWER), []
    for _ in range(2):
        for _ in range(5):
            window(recurrence_config={"rrule": "FREQ=DAILY", "timezone": "UTC"})
        counts.append(queries_of(client, WINDOWS))
    assert counts[0] == counts[1]


def test_a_silence_of_an_alert_names_its_rule_and_asset(signed_in):
    alert = stored.MAKE["alerts.AlertInstance"](1)
    client = signed_in(Role.DEVELOPER)
    page = client.get(f"{SILENCES}/new?alert={alert.pk}").content.decode()
    assert f"rule=&quot;{alert.alert_rule.rule_name}&quot;" in page
    sent = {
        "matcher_lines": f'rule="{alert.alert_rule.rule_name}"\nseverity!~low|medium',
        "minutes": "60",
        "comment": "known",
    }
    assert client.post(f"{SILENCES}/new", sent).status_code == 302
    made = Silence.objects.get()
    assert made.matchers[1] == {"name": "severity", "value": "low|medium", "is_regex": True, "is_equal": False}
    assert made.ends_at - made.starts_at == timedelta(hours=1)
    assert "known" in client.get(SILENCES).content.decode()
    client.post(f"{SILENCES}/{made.pk}/end")
    made.refresh_from_db()
    assert made.ends_at <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("lines", "said"),
    [("everything", "label="), ('asset=~"("', "regular expression"), ('asset=~".*"', "every alert"), ("", "required")],
)
def test_a_silence_that_makes_no_sense_says_what_to_write(signed_in, lines, said):
    sent = {"matcher_lines": lines, "minutes": "60", "comment": "known"}
    answer = signed_in(Role.SRE).post(f"{SILENCES}/new", sent)
    assert answer.status_code == 422
    assert said in answer.content.decode()
