"""How many series senders may make: new ones are refused one by one, known ones keep flowing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection, connections, transaction

from assets.authentication import issue_key, sender_of
from assets.metrics import catalogue, committing, ingestion, layouts, owners
from assets.metrics.identity import SeriesKey
from assets.metrics.ingestion import Sender
from assets.metrics.query import SeriesSelector, read
from assets.metrics.wire import Columns, Decoded, Sample
from assets.models import CatalogueEntry, MonitoringAgent, SeriesUsage
from wedsync_monitor import tokens
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def web(asset):
    return asset("web-01")


@pytest.fixture
def agent(web):
    return MonitoringAgent.objects.create(agent_name="on web-01", asset=web, max_series=3)


def as_agent(agent: MonitoringAgent, now: Any) -> Sender:
    sender = sender_of(b"Bearer " + issue_key(agent, now)[1].encode(), now)
    assert sender is not None
    return sender


@pytest.fixture
def token(person, now):
    sender = sender_of(b"Bearer " + tokens.issue(person(Role.SRE), "test", now).encode(), now)
    assert sender is not None
    return sender


def sample(path: str, now: Any, asset: str | None = None, name: str = "hits", index: int = 0) -> Sample:
    return Sample(asset, SeriesKey(name, labels={"path": path}), int(now.timestamp() * 1000), 1.0, index=index)


def send(sender: Sender, now: Any, *paths: str, asset: str | None = None, name: str = "hits") -> ingestion.Outcome:
    samples = [sample(path, now, asset, name, index) for index, path in enumerate(paths)]
    return ingestion.store(Decoded(samples=samples), sender, now, owners.find_assets)


def columns(sender: Sender, now: Any, *paths: str) -> ingestion.Outcome:
    keys = tuple(SeriesKey("hits", labels={"path": path}) for path in paths)
    stamps = np.array([int(now.timestamp() * 1000)], dtype=np.int64)
    batch = Columns(keys, stamps, np.arange(len(paths), dtype=np.float64)[None, :], 0, identity=repr(paths).encode())
    return ingestion.store(Decoded(columns=[batch]), sender, now, owners.find_assets)


def stored_paths(now: Any) -> list[str]:
    samples = read(SeriesSelector(("hits",)), now - timedelta(hours=1), now + timedelta(minutes=1))
    return sorted(series.labels["path"] for place, series in enumerate(samples.series) if len(samples.of(place)[0]))


def test_at_the_limit_new_series_are_refused_one_by_one(agent, now):
    outcome = send(as_agent(agent, now), now, *"abcde")
    assert (outcome.accepted, len(outcome.refusals)) == (3, 2)
    assert {refusal.field for refusal in outcome.refusals} == {"metric_labels"}
    assert "this agent has all the 3 that it may have" in outcome.refusals[0].reason
    assert "raise the agent's max_series" in outcome.refusals[0].reason
    assert len(stored_paths(now)) == 3


def test_a_sample_that_comes_alone_is_refused_too(agent, now):
    sender = as_agent(agent, now)
    send(sender, now, *"abc")
    assert "has all the 3" in send(sender, now, "d").refusals[0].reason
    assert send(sender, now + timedelta(seconds=5), "a").accepted == 1


def test_known_series_keep_flowing(agent, now):
    sender = as_agent(agent, now)
    send(sender, now, *"abc")
    later = send(sender, now + timedelta(seconds=5), *"abcd")
    assert (later.accepted, [refusal.index for refusal in later.refusals]) == (3, [3])
    layouts.forget()
    assert send(sender, now + timedelta(seconds=9), *"abc").refusals == []


def test_a_frame_of_columns_loses_only_the_new_series(agent, now):
    sender = as_agent(agent, now)
    assert columns(sender, now, *"abc").accepted == 3
    outcome = columns(sender, now + timedelta(seconds=5), *"xabcy")
    assert outcome.accepted == 3
    (refusal,) = outcome.refusals
    assert refusal.reason.startswith("2 series, as one of hits: a new series, and this agent has all the 3")
    assert stored_paths(now + timedelta(seconds=6)) == ["a", "b", "c"]
    samples = read(SeriesSelector(("hits",)), now, now + timedelta(minutes=1))
    newest = {series.labels["path"]: samples.of(place)[1][-1] for place, series in enumerate(samples.series)}
    assert newest == {"a": 1.0, "b": 2.0, "c": 3.0}


def test_a_limit_that_is_raised_holds_at_once(agent, now):
    sender = as_agent(agent, now)
    columns(sender, now, *"abcd")
    MonitoringAgent.objects.filter(pk=agent.pk).update(max_series=4)
    assert columns(sender, now + timedelta(seconds=5), *"abcd").refusals == []
    assert stored_paths(now + timedelta(seconds=6)) == ["a", "b", "c", "d"]


def test_without_an_override_the_installations_limit_holds(agent, now, settings):
    settings.METRIC_MAX_SERIES_PER_AGENT = 2
    MonitoringAgent.objects.update(max_series=None)
    assert send(as_agent(agent, now), now, *"abc").accepted == 2


def test_tokens_share_what_an_asset_may_have_from_them(web, agent, token, now, settings):
    settings.METRIC_MAX_SERIES_PER_ASSET = 2
    send(as_agent(agent, now), now, *"abc")
    outcome = send(token, now, *"xyz", asset="web-01")
    assert outcome.accepted == 2
    assert "this asset has all the 2 that tokens may make" in outcome.refusals[0].reason
    web.monitoring_config = {"max_series": 3}
    web.save()
    assert send(token, now, *"xyz", asset="web-01").refusals == []


def test_one_asset_that_is_full_does_not_keep_others_from_theirs(web, asset, token, now, settings):
    settings.METRIC_MAX_SERIES_PER_ASSET = 1
    asset("web-02")
    full, other = sample("b", now, "web-01", index=1), sample("a", now, "web-02", index=2)
    decoded = Decoded(samples=[sample("a", now, "web-01"), full, other])
    outcome = ingestion.store(decoded, token, now, owners.find_assets)
    assert outcome.accepted == 2


def test_one_name_has_a_limit_over_all_senders(agent, token, now, settings):
    settings.METRIC_MAX_SERIES_PER_NAME = 3
    send(as_agent(agent, now), now, *"ab")
    catalogue.tally(now)
    outcome = send(token, now, *"xyz", asset="web-01")
    assert outcome.accepted == 1
    assert "hits has all the 3 that one metric may have" in outcome.refusals[0].reason
    assert send(token, now, *"xyz", asset="web-01", name="other").refusals == []
    assert CatalogueEntry.objects.get(metric_name="hits").refused == 2


def test_who_is_refused_waits_for_those_who_count_without_holding_what_they_need(web, agent, token, now, settings):
    settings.METRIC_MAX_SERIES_PER_NAME = 2
    send(token, now, "/a", "/b", asset="web-01")
    catalogue.tally(now)
    assert len(send(token, now, "/c", asset="web-01").refusals) == 1
    with ThreadPoolExecutor(1) as pool, transaction.atomic(), connection.cursor() as cursor:
        # As a tally does: first the name, then the sender.
        cursor.execute("SELECT FROM metric_catalogue FOR UPDATE")
        refused = pool.submit(refused_elsewhere, token, now)
        while not waits_for_a_lock():
            assert not refused.done()
        cursor.execute("SELECT count(*) FROM (SELECT FROM metric_series_usage FOR UPDATE NOWAIT) AS held")
        assert cursor.fetchone() == (1,)
        transaction.set_rollback(True)
    assert refused.result(10) == 1
    assert CatalogueEntry.objects.get(metric_name="hits").refused == 2


def refused_elsewhere(token: Sender, now: Any) -> int:
    try:
        return len(send(token, now, "/d", asset="web-01").refusals)
    finally:
        committing.lookup_connection().close()
        connections.close_all()


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


def test_the_system_itself_may_make_what_it_needs(web, now, settings):
    settings.METRIC_MAX_SERIES_PER_ASSET = 1
    made = [sample(path, now, str(web.pk)) for path in "abc"]
    assert ingestion.store_samples(made, now).accepted == 3


def test_refusals_are_counted_with_an_example_and_told_as_series(agent, web, now):
    sender = as_agent(agent, now)
    send(sender, now, *"abcde")
    usage = SeriesUsage.objects.get(agent=agent)
    assert (usage.asset, usage.refused) == (web, 2)
    assert usage.example.startswith("hits{path=")
    told = [refused_of(now, now)]
    send(sender, now, *"abcde")
    told.append(refused_of(now + timedelta(minutes=1), now))
    told.append(refused_of(now + timedelta(minutes=2), now))
    assert told == [2.0, 2.0, 0.0]
    usage.refresh_from_db()
    assert (usage.series, usage.refused) == (3, 4)
    count = read(SeriesSelector(("series_count",)), now - timedelta(minutes=1), now + timedelta(minutes=1))
    # What the system derives is counted too, from the next call on.
    assert (count.series[0].asset_id, count.values.tolist()) == (web.pk, [3.0, 5.0])


def refused_of(moment: Any, now: Any) -> float:
    catalogue.tally(moment)
    samples = read(SeriesSelector(("series_refused",)), now - timedelta(minutes=1), now + timedelta(minutes=5))
    return float(samples.values[-1])
