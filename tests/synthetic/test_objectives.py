"""The objective of a check over stored results, and what maintenance is in it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts.models import MaintenanceWindow
from assets.metrics import query
from assets.metrics.query import SeriesSelector
from synthetic import objectives
from synthetic.models import SyntheticCheckResult
from tests.answers import queries_of
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("committed")
MINUTE = timedelta(minutes=1)


def stored(check, now, statuses, **columns):
    SyntheticCheckResult.objects.bulk_create(
        SyntheticCheckResult(synthetic_check=check, status=status, check_timestamp=now - place * MINUTE, **columns)
        for place, status in enumerate(statuses)
    )


def test_the_objective_leaves_out_maintenance_and_what_says_nothing(api, check, now):
    one = check(slo_target_percent=90)
    stored(one, now, ["failure"] * 2 + ["success"] * 38)
    stored(one, now, ["failure"] * 10, in_maintenance=True)
    stored(one, now, ["error"] * 10, is_counted=False)
    client, url = api(Role.VIEWER), f"/api/monitoring/synthetic/checks/{one.pk}/slo"
    said = client.get(url).json()
    assert (said["total_checks"], said["failed_checks"], said["excluded_in_maintenance"]) == (40, 2, 10)
    assert (said["availability_percent"], said["error_budget_remaining_percent"]) == (95, 50)
    assert said["maintenance"] == "excluded"
    assert [rate["is_burning"] for rate in said["burn_rates"]] == [False, False]
    assert queries_of(client, url) <= 10


def test_a_burning_budget_is_a_series_that_falls_back_to_nothing(check, now):
    one, well = check("one"), check("well")
    stored(one, now, ["failure"] * 10 + ["success"] * 30)
    stored(well, now, ["success"] * 30)
    assert objectives.tell_burning(now) == 1
    later = now + timedelta(hours=6, minutes=5)
    assert objectives.tell_burning(later) == 1
    found = query.read(SeriesSelector(("check_burn_rate_fast",)), now - MINUTE, later)
    assert len(found.series) == 1
    assert found.of(0)[1].tolist() == [pytest.approx(250), 0]


def test_results_in_a_window_of_maintenance_are_marked_and_no_downtime(api, check, target, run_at, now):
    target.status = 503
    one, other = check("one"), check("other")
    MaintenanceWindow.objects.create(
        window_name="move", maintenance_type="planned", start_time=now - MINUTE, end_time=now + MINUTE,
        affected_assets=[str(one.asset_id)],
    )  # fmt: skip
    other.target_url = target.url.replace("127.0.0.1", "localhost")
    other.asset = None
    other.save()
    run_at(now)
    run_at(now + 2 * MINUTE)
    marked = SyntheticCheckResult.objects.order_by("synthetic_check__check_name", "check_timestamp")
    shown = [(row.synthetic_check.check_name, row.in_maintenance) for row in marked.select_related("synthetic_check")]
    assert shown == [("one", True), ("one", False), ("other", False), ("other", False)]
