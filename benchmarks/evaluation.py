"""Evaluation of rules on stored samples: the specification's 100 rules over 1,000 assets, and 1,000 rules."""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.figures import Figure

if TYPE_CHECKING:
    from alerts.models import AlertRule

RULES, MANY_RULES, ASSETS, ROUNDS = 100, 1_000, 1_000, 5
METRICS = tuple(f"response_time_{number}_ms" for number in range(10))
BREACHING = 10
WINDOW_SECONDS, EVERY_SECONDS = 300, 10


@contextmanager
def database() -> Iterator[None]:
    """A PostgreSQL of its own with the schema, and Django set up for it."""
    folder = Path(tempfile.mkdtemp(prefix="wedsync-bench-"))
    folder.chmod(0o755)
    os.environ |= {"WEDSYNC_DATA": str(folder), "DJANGO_SETTINGS_MODULE": "wedsync_monitor.settings"}
    from wedsync_monitor.embedded.postgres import Postgres

    process = Postgres(folder).start()
    try:
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def measure() -> Iterator[Figure]:
    with database():
        now = datetime.now(UTC)
        register(now)
        _report(now - timedelta(seconds=WINDOW_SECONDS), WINDOW_SECONDS // EVERY_SECONDS)
        before = _resident_mib()
        _rules(RULES, METRICS[:1])
        yield from _evaluate(RULES, now, 1)
        _rules(MANY_RULES - RULES, METRICS)
        yield from _evaluate(MANY_RULES, now + timedelta(seconds=60), 0.3)
        yield Figure("memory of the evaluator, above the process before", _resident_mib() - before, "MiB")
        yield from _live_on(now + timedelta(seconds=120))


def register(now: datetime) -> None:
    """The partitions of that day, and ASSETS assets."""
    from assets.models import InfrastructureAsset
    from wedsync_monitor import partitions
    from wedsync_monitor.retention import partitioned_tables

    for table in partitioned_tables():
        partitions.maintain(table, now.date())
    described = {"asset_type": "server", "asset_category": "compute", "environment": "production"}
    assets = [InfrastructureAsset(asset_name=f"asset-{number}", **described) for number in range(ASSETS)]
    InfrastructureAsset.objects.bulk_create(assets)


def _report(after: datetime, instants: int) -> None:
    """What every asset reports of every metric at so many instants, ten seconds apart."""
    import numpy as np

    from assets.metrics import ingestion
    from assets.metrics.identity import SeriesKey
    from assets.metrics.wire import Columns, Decoded
    from assets.models import InfrastructureAsset

    begins = int(after.timestamp() * 1000)
    timestamps = begins + np.arange(1, instants + 1, dtype=np.int64) * EVERY_SECONDS * 1000
    source = np.random.default_rng(begins % 1000)
    keys = tuple(SeriesKey(name, "gauge", "ms", {}, "push") for name in METRICS)
    now = after + timedelta(seconds=instants * EVERY_SECONDS)
    for asset_id in InfrastructureAsset.objects.values_list("pk", flat=True):
        columns = Columns(keys, timestamps, source.normal(400, 50, (instants, len(keys))), 0)
        sender = ingestion.Sender(own_asset=asset_id)
        assert not ingestion.store(Decoded(columns=[columns]), sender, now, lambda names: {}).refusals


def _rules(number: int, metrics: Sequence[str]) -> None:
    from alerts.models import AlertRule

    have = AlertRule.objects.count()
    rules = [
        AlertRule(
            rule_name=f"test-rule-{place}",
            metric_conditions=[
                {
                    "metric_name": metrics[place % len(metrics)],
                    "operator": "gt",
                    "threshold": 1000 + place,
                    "aggregation": "avg",
                    "time_window": WINDOW_SECONDS,
                }
            ],
            severity="medium",
            evaluation_frequency=EVERY_SECONDS,
            alert_type="threshold",
        )
        for place in range(have, have + number)
    ]
    AlertRule.objects.bulk_create(rules)


def _evaluate(rules: int, now: datetime, goal: float) -> Iterator[Figure]:
    """The first evaluation reads all that is stored; the others what came in since, one sample of every series."""
    from alerts import evaluation

    seconds, processor = [], []
    for number in range(ROUNDS + 1):
        at = now + timedelta(seconds=EVERY_SECONDS * number)
        if number:
            _report(at - timedelta(seconds=EVERY_SECONDS), 1)
        began = time.process_time()
        report = evaluation.evaluate_due(at)
        processor.append(time.process_time() - began)
        seconds.append(report.seconds)
        assert (report.rules, report.series) == (rules, rules * ASSETS)
    name = f"{rules:,} rules over {ASSETS:,} assets"
    yield Figure(f"{name}, one evaluation (median of {ROUNDS})", statistics.median(seconds[1:]), "s", goal, True)
    yield Figure(f"{name}, processor time of the evaluator", statistics.median(processor[1:]), "s")
    yield Figure(f"{name}, the first evaluation", seconds[0], "s")


def _live_on(now: datetime) -> Iterator[Figure]:
    """Ten rules breach on every asset: what they cost when their alerts open, are open, and resolve."""
    from alerts.models import AlertInstance, AlertRule

    chosen = list(AlertRule.objects.order_by("rule_name")[:BREACHING])
    AlertRule.objects.exclude(pk__in=[rule.pk for rule in chosen]).delete()
    live = BREACHING * ASSETS
    opening = _switch(chosen, 100, now)
    assert AlertInstance.objects.filter(status="open").count() == live
    yield Figure(f"{BREACHING} rules, {live:,} alerts opening", opening, "s", 5, at_most=True)
    seconds = [_again(now + timedelta(seconds=EVERY_SECONDS * number)) for number in range(1, ROUNDS + 1)]
    name = f"{BREACHING} rules, {live:,} alerts open (median of {ROUNDS})"
    yield Figure(name, statistics.median(seconds), "s", 5, at_most=True)
    resolving = _switch(chosen, 10_000, now + timedelta(seconds=EVERY_SECONDS * (ROUNDS + 1)))
    assert AlertInstance.objects.filter(status="resolved").count() == live
    yield Figure(f"{BREACHING} rules, {live:,} alerts resolving", resolving, "s", 5, at_most=True)


def _switch(rules: Sequence[AlertRule], threshold: float, at: datetime) -> float:
    for rule in rules:
        rule.metric_conditions = [rule.metric_conditions[0] | {"threshold": threshold}]
        rule.notification_channels = [{"type": "webhook", "config": {"url": "http://127.0.0.1:9/", "secret": "bench"}}]
        rule.save()
    return _again(at)


def _again(at: datetime) -> float:
    from alerts import evaluation
    from alerts.models import RuleEvaluation

    RuleEvaluation.objects.update(next_evaluation_at=at)
    report = evaluation.evaluate_due(at)
    assert report.rules == BREACHING
    return report.seconds


def _resident_mib() -> float:
    return psutil.Process().memory_info().rss / 2**20
