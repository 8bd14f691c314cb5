"""How health is judged: decision tables over facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from assets import health
from assets.health import Facts, assess, factor_score

NOW = datetime(2026, 6, 12, 14, tzinfo=UTC)
FINE = {"cpu_usage_percent": 20.0, "memory_usage_percent": 30.0, "disk_usage_percent": 40.0}


def judged(values=None, age_seconds: float = 10, severities=()):
    return assess(Facts(values or {}, NOW - timedelta(seconds=age_seconds), 60, severities), NOW)


@pytest.mark.parametrize(
    ("value", "score"),
    [(0, 100), (40, 100), (60, 87.5), (80, 75), (87.5, 57.5), (95, 40), (110, 20), (125, 0), (900, 0)],
)
def test_a_factors_score_falls_in_straight_lines(value, score):
    assert factor_score(value, 80, 95) == pytest.approx(score)


@pytest.mark.parametrize(
    ("values", "age", "severities", "status"),
    [
        pytest.param(FINE, 10, (), "healthy", id="all is well"),
        pytest.param({}, 10, (), "healthy", id="it reports, though nothing that is judged"),
        pytest.param(FINE | {"cpu_usage_percent": 80}, 10, (), "degraded", id="one factor at its warning"),
        pytest.param(FINE | {"cpu_usage_percent": 95}, 10, (), "unhealthy", id="one factor at its critical threshold"),
        pytest.param(FINE | {"error_rate_percent": 1}, 10, (), "degraded", id="some errors"),
        pytest.param(FINE, 180, (), "degraded", id="three reports are missing"),
        pytest.param(FINE, 600, (), "unhealthy", id="ten reports are missing"),
        pytest.param(FINE, 10, ("low",), "degraded", id="an open alert"),
        pytest.param(FINE, 10, ("low", "critical"), "unhealthy", id="an open critical alert"),
        pytest.param(FINE, 10, ("high", "high", "high"), "unhealthy", id="many open alerts"),
    ],
)
def test_the_worst_finding_makes_the_status(values, age, severities, status):
    assert judged(values, age, severities).status == status


def test_without_any_report_nothing_is_known():
    nothing = assess(Facts({}, None, 60, ("critical",)), NOW)
    assert (nothing.status, nothing.score, nothing.factors, nothing.recommendations) == ("unknown", None, (), ())


@pytest.mark.parametrize(
    ("ephemeral", "age", "status"),
    [
        pytest.param(True, 179, "healthy", id="it misses no more than any may"),
        pytest.param(True, 180, "unknown", id="it has left"),
        pytest.param(True, 7 * 86400, "unknown", id="it left long ago"),
        pytest.param(False, 180, "degraded", id="one that may not leave"),
    ],
)
def test_an_ephemeral_asset_departs_and_is_never_down(ephemeral, age, status):
    facts = Facts(FINE, NOW - timedelta(seconds=age), 60, (), ephemeral)
    assert assess(facts, NOW).status == status
    assert health.has_departed(ephemeral, facts.last_report, 60, NOW) == (status == "unknown")


def test_factors_without_data_are_left_out_and_not_assumed():
    assert {one.factor for one in judged({"cpu_usage_percent": 5.0}).factors} == {
        "cpu", "data_freshness", "open_alerts",
    }  # fmt: skip


def test_the_score_is_the_weighted_mean_of_what_is_known():
    # cpu 87.5 with weight 0.25; freshness 100 with 0.2; alerts 100 with 0.15
    expected = (87.5 * 0.25 + 100 * 0.2 + 100 * 0.15) / 0.6
    assert judged({"cpu_usage_percent": 60.0}).score == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("values", [{}, FINE, {"cpu_usage_percent": 60.0}])
def test_the_weights_that_are_shown_are_shares_of_one(values):
    assert sum(one.impact_weight for one in judged(values).factors) == pytest.approx(1)


def test_a_critical_factor_caps_the_score_however_well_the_others_are():
    assert judged(FINE | {"disk_usage_percent": 95.0}).score == 40
    assert judged(FINE, severities=("critical",)).score == 40


def test_more_trouble_never_scores_better():
    scores = [judged(FINE | {"cpu_usage_percent": float(cpu)}).score for cpu in range(0, 101, 5)]
    assert scores == sorted(scores, reverse=True)


def test_recommendations_follow_from_the_factors_and_the_worst_is_first():
    found = judged(FINE | {"cpu_usage_percent": 82.0, "disk_usage_percent": 97.0}).recommendations
    assert [(one.priority, one.category) for one in found] == [("high", "storage"), ("medium", "compute")]
    assert judged(FINE).recommendations == ()


def test_a_clock_that_is_ahead_is_not_stale():
    assert judged(FINE, age_seconds=-30).status == "healthy"


def test_every_factor_has_an_order_of_thresholds_and_a_weight():
    for factor in health.FACTORS:
        assert 0 < factor.warning < factor.critical
        assert factor.weight > 0
