"""Agents and assets that keep their samples for fewer days than the installation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from assets.metrics import ingestion
from assets.metrics.compaction import compact
from assets.metrics.identity import SeriesKey
from assets.metrics.query import SeriesSelector, read
from assets.metrics.wire import Columns, Decoded
from assets.models import MonitoringAgent

pytestmark = pytest.mark.usefixtures("committed")


def send(asset: Any, now: Any, days: int, agent: MonitoringAgent | None = None) -> None:
    stamps = np.array([int((now - timedelta(days=days)).timestamp() * 1000)], dtype=np.int64)
    columns = Columns((SeriesKey("cpu"),), stamps, np.array([[float(days)]]), 0)
    sender = ingestion.Sender(own_asset=asset.pk, agent_id=agent.pk if agent else None)
    assert ingestion.store(Decoded(columns=[columns]), sender, now, lambda _: {}).refusals == []


def kept(asset: Any, now: Any) -> list[float]:
    return sorted(read(SeriesSelector(("cpu",), (asset.pk,)), now - timedelta(days=80), now).values.tolist())


def test_an_assets_own_retention_removes_its_older_blocks_and_nobody_elses(asset, now):
    short, other = asset("short", monitoring_config={"retention_days": 10}), asset("other")
    for one in (short, other):
        for days in (5, 20):
            send(one, now, days)
    compact(now - timedelta(days=15))
    report = compact(now)
    assert (kept(short, now), kept(other, now)) == ([5.0], [5.0, 20.0])
    assert report.expired == 1


def test_an_agents_retention_holds_for_what_it_sent(asset, now):
    web = asset("web-01")
    brief = MonitoringAgent.objects.create(agent_name="brief", asset=web, retention_days=10)
    lasting = MonitoringAgent.objects.create(agent_name="lasting", asset=web)
    send(web, now, 20, brief)
    send(web, now, 21, lasting)
    send(web, now, 22)
    compact(now)
    assert kept(web, now) == [21.0, 22.0]


def test_what_comes_later_than_it_would_be_kept_never_rests(asset, now):
    short = asset("short", monitoring_config={"retention_days": 10})
    compact(now)
    send(short, now, 20)
    compact(now)
    assert kept(short, now) == []


def test_it_is_done_once_a_day(asset, now):
    short = asset("short")
    send(short, now, 20)
    compact(now)
    short.monitoring_config = {"retention_days": 10}
    short.save()
    assert compact(now).expired == 0
    assert compact(now + timedelta(days=1)).expired == 1
