"""The Prometheus HTTP API: what was written by remote write is found again with its labels."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.prometheus import snappy, write_request
from wedsync_monitor import tokens
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("committed")


def test_smoke(person, asset, now):
    asset("web-01")
    t = tokens.issue(person(Role.SRE), "x", now)
    h = {"Authorization": f"Bearer {t}"}
    at = int(now.timestamp() * 1000)
    body = write_request(
        [
            (
                {"__name__": "up", "instance": "web-01:9100", "job": "node"},
                [(at - 15000 * k, float(k)) for k in range(20)],
            )
        ]
    )
    a = Client().post(
        "/api/v1/write",
        snappy(body.SerializeToString()),
        "application/x-protobuf",
        headers=h | {"Content-Encoding": "snappy"},
    )
    assert a.status_code == 204, a.content
    c = Client(headers=h)
    for q in [
        "up",
        'up{instance=~"web.*"}',
        "rate(up[2m])",
        'up{host="web-01"}',
        'up{asset="web-01",job!="x"}',
        '{__name__=~"u.*"}',
        'label_replace(up,"a","$1","job","(.*)")',
        "1+1",
        "up[1m]",
        "sum by (environment)(up)",
        'up{job=~"("}',
        "up offset 1m",
        '"x"',
        "up + on(nope) up",
        '{instance="web-01:9100"}',
        '{job="node"}',
        'up{environment="production"}',
    ]:
        print(q, c.get("/api/v1/query", {"query": q}).content.decode())
    print(
        c.post(
            "/api/v1/query_range", {"query": "up", "start": at / 1000 - 120, "end": at / 1000, "step": "30"}
        ).content.decode()
    )
    for u in [
        "labels",
        "label/job/values",
        "label/__name__/values",
        "label/instance/values",
        "metadata",
        "series?match[]=up",
        "labels?match[]=up",
        "label/job/values?match[]=up",
        "status/buildinfo",
        "rules",
        "format_query?query=a%2Bb",
        "label/asset/values",
    ]:
        print(u, c.get("/api/v1/" + u).content.decode())
