"""The rules of a new installation do what their names say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts import defaults, evaluation
from alerts.models import AlertInstance, RuleEvaluation
from assets.metrics import catalogue, ingestion, owners
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Decoded, Sample
from assets.models import MonitoringAgent

pytestmark = pytest.mark.usefixtures("committed")


def test_refused_series_open_an_alert_that_resolves_once_none_are_refused(asset, now):
    defaults.create_rules()
    agent = MonitoringAgent.objects.create(agent_name="on web-01", asset=asset("web-01"), max_series=1)
    sender = ingestion.Sender(agent_id=agent.pk, own_asset=agent.asset_id)
    keys = [SeriesKey("hits", labels={"path": path}) for path in "ab"]
    samples = [Sample(None, key, int(now.timestamp() * 1000), 1.0) for key in keys]
    ingestion.store(Decoded(samples=samples), sender, now, owners.find_assets)
    statuses = []
    for minute in range(10):
        at = now + timedelta(minutes=minute)
        catalogue.tally(at)
        RuleEvaluation.objects.update(next_evaluation_at=at)
        evaluation.evaluate_due(at)
        alert = AlertInstance.objects.filter(alert_rule__rule_name="Series refused").first()
        statuses.append(alert.status if alert else None)
    assert statuses[1] == "open"
    assert statuses[-1] == "resolved"
