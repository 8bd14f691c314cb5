"""What the tests of all protocols share: who sends, and what is stored."""

from __future__ import annotations

from datetime import timedelta
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.core.wsgi import get_wsgi_application

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


class _Silent(WSGIRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(committed):
    """The product on a port of its own, for real clients; its URL."""
    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=_Silent) as serving:
        thread = Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()
