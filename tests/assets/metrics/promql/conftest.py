"""A client of the Prometheus HTTP API."""

from __future__ import annotations

import pytest

from tests.assets.metrics.promql.grafana import Grafana
from wedsync_monitor import tokens
from wedsync_monitor.policy import Role


@pytest.fixture
def grafana(person, now) -> Grafana:
    return Grafana(tokens.issue(person(Role.SRE), "grafana", now))
