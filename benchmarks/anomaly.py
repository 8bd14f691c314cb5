"""Anomaly detection: processor time per point of the detector, and an anomaly rule over 1,000 hosts, tick by tick."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from alerts.anomaly import Detector, score
from alerts.anomaly.fleet import Fleet
from benchmarks import evaluation
from benchmarks.figures import Figure

POINTS, EVERY_SECONDS = 20_000, 300.0
SINGLE = 1_000
HOSTS, INSTANTS, DAYS, TICKS = 1_000, 300, 8, 10
METRIC = "response_time_ms"


def measure() -> Iterator[Figure]:
    times = EVERY_SECONDS * np.arange(POINTS)
    values = 10 * np.sin(times * 2 * np.pi / 86_400) + np.random.default_rng(0).normal(size=POINTS)
    started = time.process_time()
    score(times, values)
    yield Figure("Anomaly scores of a stored series", _micros(started, POINTS), "µs a point", 50, at_most=True)
    detector = Detector()
    detector.update(times[:-SINGLE], values[:-SINGLE])
    started = time.process_time()
    for at in range(POINTS - SINGLE, POINTS):
        detector.update(times[at : at + 1], values[at : at + 1])
    yield Figure("Anomaly score of one new point of a stream", _micros(started, SINGLE), "µs")
    fleet, points = Fleet(HOSTS), np.random.default_rng(0).normal(size=(INSTANTS, HOSTS))
    started = time.process_time()
    for column in points:
        fleet.update(column)
    name = f"Anomaly score of one new point of each of {HOSTS:,} streams"
    yield Figure(name, _micros(started, INSTANTS * HOSTS), "µs a point", 50, at_most=True)
    with evaluation.database():
        yield from _rule_over_hosts()


def _rule_over_hosts() -> Iterator[Figure]:
    """A week of samples, one every five minutes; then one every minute, at which the rule is evaluated."""
    from alerts import evaluation as rules
    from alerts.learning import of_this_process
    from alerts.models import AlertRule, RuleEvaluation

    now = datetime.now(UTC).replace(second=40, microsecond=0)
    evaluation.register(now)
    _report(now, DAYS * 288, EVERY_SECONDS)
    rule = AlertRule.objects.create(
        rule_name="unusual", alert_type="anomaly", metric_conditions=[], evaluation_frequency=60,
        anomaly_config={"metric_name": METRIC, "sensitivity": "low"},
    )  # fmt: skip
    seconds: list[float] = []
    learner, at, followed = None, now, 0
    while learner is None or not learner.caught_up or followed < TICKS:
        at += timedelta(seconds=60)
        _report(at, 1, 60)
        RuleEvaluation.objects.update(next_evaluation_at=at)
        followed += learner is not None and learner.caught_up
        seconds.append(rules.evaluate_due(at).seconds)
        learner = next(iter(of_this_process()._of.values()))
    assert not RuleEvaluation.objects.get(rule=rule).last_error
    name = f"1 anomaly rule over {HOSTS:,} hosts"
    yield Figure(f"{name}, one evaluation (median of {TICKS})", 1e3 * statistics.median(seconds[-TICKS:]), "ms")
    yield Figure(f"{name}, one in which the detector takes its point", 1e3 * max(seconds[-TICKS:]), "ms")
    yield Figure(f"{name}, the first evaluation", 1e3 * seconds[0], "ms")
    behind = statistics.median(seconds[1:-TICKS] or [0.0])
    yield Figure(f"{name}, one of {len(seconds) - TICKS} that catch up with a week", 1e3 * behind, "ms")


def _report(until: datetime, instants: int, every_seconds: float) -> None:
    """What every host reports at so many instants, the last of which is `until`."""
    from assets.metrics import ingestion
    from assets.metrics.identity import SeriesKey
    from assets.metrics.wire import Columns, Decoded
    from assets.models import InfrastructureAsset

    step = int(every_seconds * 1000)
    times = int(until.timestamp() * 1000) - step * np.arange(instants - 1, -1, -1, dtype=np.int64)
    source, keys = np.random.default_rng(int(times[-1]) % 1000), (SeriesKey(METRIC, "gauge", "ms", {}, "push"),)
    for asset_id in InfrastructureAsset.objects.values_list("pk", flat=True):
        columns = Columns(keys, times, source.normal(400, 50, (instants, 1)), 0)
        sender = ingestion.Sender(own_asset=asset_id)
        assert not ingestion.store(Decoded(columns=[columns]), sender, until, lambda names: {}).refusals


def _micros(started: float, points: int) -> float:
    return 1e6 * (time.process_time() - started) / points
