"""Which assets have left, from what is stored."""

from __future__ import annotations

from datetime import timedelta

from assets import assessment, presence
from assets.metrics import ingestion
from assets.metrics.identity import SeriesKey
from assets.metrics.wire import Sample
from assets.models import AssetHealth


def reported(asset, moment, now):
    sample = Sample(str(asset.pk), SeriesKey("load_1m", "gauge", "", {}, "push"), int(moment.timestamp() * 1000), 1.0)
    assert ingestion.store_samples([sample], now).accepted == 1


def test_ephemeral_assets_depart_when_they_are_silent_and_others_do_not(
    committed, asset, now, django_assert_max_num_queries
):
    hosts = {
        name: asset(name, monitoring_config={"ephemeral": ephemeral, "collection_interval": 20})
        for name, ephemeral in (("spot-1", True), ("spot-2", True), ("spot-3", True), ("web-01", False))
    }
    for name, seconds in (("spot-1", 61), ("spot-2", 59), ("web-01", 3600)):
        reported(hosts[name], now - timedelta(seconds=seconds), now)
    with django_assert_max_num_queries(3):
        assert presence.departed(None, now) == {hosts["spot-1"].pk, hosts["spot-3"].pk}
    assert presence.departed([hosts["spot-1"].pk, hosts["web-01"].pk], now) == {hosts["spot-1"].pk}
    assessment.assess_all(now)
    assert dict(AssetHealth.objects.values_list("asset__asset_name", "health_status")) == {
        "spot-1": "unknown", "spot-2": "healthy", "spot-3": "unknown", "web-01": "unhealthy",
    }  # fmt: skip
    reported(hosts["spot-1"], now, now)
    assert presence.departed(None, now) == {hosts["spot-3"].pk}


def test_without_ephemeral_assets_one_query_tells_it(database, asset, now, django_assert_num_queries):
    asset("web-01")
    with django_assert_num_queries(1):
        assert presence.departed(None, now) == set()
