"""Samples and rounds of evaluation, as tests of rules make them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from alerts import evaluation
from alerts.models import RuleEvaluation
from assets.metrics import ingestion
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample


def measure(asset: Any, value: float, at: datetime, name: str = "cpu_usage_percent", **labels: str) -> None:
    """Store one sample of a gauge."""
    key = SeriesKey(name, "gauge", "", labels, "push")
    outcome = ingestion.store_samples([Sample(str(asset.pk), key, int(at.timestamp() * 1000), value)], at)
    assert outcome.refusals == []


def evaluate(at: datetime) -> evaluation.Report:
    """A round in which every rule is due."""
    RuleEvaluation.objects.update(next_evaluation_at=at)
    return evaluation.evaluate_due(at)
