"""What the tests of all protocols share: who sends, and what is stored."""

from __future__ import annotations

from datetime import timedelta

import pytest

from assets.authentication import issue_key
from assets.metrics.query import SeriesSelector, read
from assets.models import MonitoringAgent
from wedsync_monitor import tokens
from wedsync_monitor.policy import Role


@pytest.fixture
def token(person, now):
    """A person's secret that may send."""
    return tokens.issue(person(Role.SRE), "test", now)


@pytest.fixture
def key(asset, now):
    """The secret of the agent on web-01."""
    return issue_key(MonitoringAgent.objects.create(agent_name="on web-01", asset=asset("web-01")), now)[1]


@pytest.fixture
def stored(now):
    """Everything that is stored: {(asset, series title): [values]}, or with `kind`, the metric types."""

    def values():
        from assets.models import InfrastructureAsset

        samples = read(SeriesSelector(), now - timedelta(days=30), now + timedelta(minutes=10))
        names = dict(InfrastructureAsset.objects.values_list("pk", "asset_name"))
        return {
            (names[series.asset_id], series.title()): samples.of(place)[1].tolist()
            for place, series in enumerate(samples.series)
            if len(samples.of(place)[1])
        }

    return values
