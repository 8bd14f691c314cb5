"""The specification's performance tests, on a whole system."""

from __future__ import annotations

import json
import time

import pytest

from benchmarks.load import drive, request
from tests.journeys.system import System

pytestmark = pytest.mark.system


def asset(system: System, name: str) -> str:
    body = {"asset_name": name, "asset_type": "server", "asset_category": "compute", "environment": "production"}
    return str(system.post("assets", body)["id"])


def test_a_thousand_concurrent_submissions_are_all_stored(system):
    assets = [asset(system, f"asset-{number}") for number in range(10)]
    now = time.time()
    sent = [
        {
            "asset_id": f"asset-{number % 10}",
            "metric_name": "cpu_usage_percent",
            "metric_value": number / 10,
            "collection_timestamp": now - number / 100,
        }
        for number in range(1000)
    ]
    headers = {"Authorization": system.http.headers["Authorization"], "Content-Type": "application/json"}
    load = drive(
        system.port, [request("/api/monitoring/metrics", json.dumps(one).encode(), headers) for one in sent], 1000
    )
    assert load.statuses == {200: 1000}
    assert load.seconds < 10
    stored = [
        point["value"]
        for one in assets
        for point in system.get(f"assets/{one}/metrics", metric="cpu_usage_percent", points=1000)["metric_history"][
            "metrics"
        ]["cpu_usage_percent"]
    ]
    assert sorted(stored) == [one["metric_value"] for one in sent]
