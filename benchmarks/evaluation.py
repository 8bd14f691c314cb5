"""Evaluation of rules on stored samples: the specification's 100 rules, over 1,000 assets."""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.figures import Figure

RULES, ASSETS, ROUNDS = 100, 1_000, 3
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
        _fill(now)
        yield from _evaluate(now)
        yield from _live_on(now)


def _fill(now: datetime) -> None:
    """1,000 assets, each with a response time every ten seconds, and the specification's rules."""
    import numpy as np

    from alerts.models import AlertRule
    from assets.metrics import ingestion
    from assets.metrics.identity import SeriesKey
    from assets.metrics.wire import Columns, Decoded
    from assets.models import InfrastructureAsset
    from wedsync_monitor import partitions
    from wedsync_monitor.retention import partitioned_tables

    for table in partitioned_tables():
        partitions.maintain(table, now.date())
    described = {"asset_type": "server", "asset_category": "compute", "environment": "production"}
    assets = [InfrastructureAsset(asset_name=f"asset-{number}", **described) for number in range(ASSETS)]
    InfrastructureAsset.objects.bulk_create(assets)
    ends = int(now.timestamp() * 1000)
    timestamps = np.arange(ends - WINDOW_SECONDS * 1000, ends, EVERY_SECONDS * 1000, dtype=np.int64)
    source = np.random.default_rng(7)
    key = SeriesKey("response_time_ms", "gauge", "ms", {}, "push")
    for asset in assets:
        columns = Columns((key,), timestamps, source.normal(400, 50, (len(timestamps), 1)), 0)
        sender = ingestion.Sender(own_asset=asset.pk)
        assert not ingestion.store(Decoded(columns=[columns]), sender, now, lambda names: {}).refusals
    condition = {
        "metric_name": "response_time_ms",
        "operator": "gt",
        "threshold": 1000,
        "aggregation": "avg",
        "time_window": WINDOW_SECONDS,
    }
    rules = [
        AlertRule(
            rule_name=f"test-rule-{number}",
            metric_conditions=[condition],
            severity="medium",
            evaluation_frequency=60,
            alert_type="threshold",
        )
        for number in range(RULES)
    ]
    AlertRule.objects.bulk_create(rules)


def _evaluate(now: datetime) -> Iterator[Figure]:
    from alerts import evaluation

    reports = [evaluation.evaluate_due(now + timedelta(seconds=60 * number)) for number in range(ROUNDS)]
    assert {report.rules for report in reports} == {RULES}
    assert reports[0].series == RULES * ASSETS
    seconds = statistics.median(report.seconds for report in reports)
    yield Figure(
        f"{RULES} rules over {ASSETS:,} assets, one evaluation (median of {ROUNDS})", seconds, "s", 1, at_most=True
    )


def _live_on(now: datetime) -> Iterator[Figure]:
    """Ten of the rules breach on every asset: what they cost once their alerts are open."""
    from alerts import evaluation
    from alerts.models import AlertInstance, AlertRule, RuleEvaluation

    for rule in AlertRule.objects.all()[:BREACHING]:
        rule.metric_conditions = [rule.metric_conditions[0] | {"threshold": 100}]
        rule.save()
    seconds = []
    for _ in range(ROUNDS + 1):
        RuleEvaluation.objects.update(next_evaluation_at=now)
        seconds.append(evaluation.evaluate_due(now).seconds)
    live = BREACHING * ASSETS
    assert AlertInstance.objects.filter(status="open").count() == live
    yield Figure(f"the same with {live:,} alerts opening", seconds[0], "s")
    name = f"the same with {live:,} alerts open (median of {ROUNDS})"
    yield Figure(name, statistics.median(seconds[1:]), "s", 5, at_most=True)
