"""What a process keeps of recent samples is what a process that has just begun reads."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from assets.metrics import compaction, ingestion
from assets.metrics.identity import SeriesKey
from assets.metrics.recent import Recent
from assets.metrics.wire import Sample

pytestmark = pytest.mark.usefixtures("committed")
SECOND, LATENESS = timedelta(seconds=1), timedelta(seconds=60)
SPANS = {"cpu": timedelta(minutes=5), "requests": timedelta(minutes=10)}


def store(asset, name, at, value, **labels):
    kind = "counter" if name == "requests" else "gauge"
    key = SeriesKey(name, kind, "", labels, "push")
    sample = Sample(str(asset.pk), key, int(at.timestamp() * 1000), float(value))
    assert ingestion.store_samples([sample], datetime.now(UTC)).refusals == []


def rows(recent, at, spans=SPANS):
    found = recent.read(spans, at, LATENESS)
    cells = set()
    for rolling in found.values():
        samples = rolling.samples
        owner = np.repeat([one.id for one in samples.series], np.diff(samples.offsets))
        cells |= set(zip(owner.tolist(), samples.timestamps.tolist(), samples.values.tolist(), strict=True))
        assert len(owner) == len(set(zip(owner.tolist(), samples.timestamps.tolist(), strict=True)))
    return cells


@pytest.mark.parametrize("seed", range(4))
def test_any_history_reads_the_same_as_after_a_restart(asset, now, seed):
    chance = random.Random(seed)
    hosts, running, sent = [asset("host-0"), asset("host-1")], Recent(), []
    for step in range(12):
        at = now + step * 3 * SECOND
        if chance.random() < 0.2:
            hosts.append(asset(f"host-{len(hosts)}"))
        for _ in range(chance.randrange(6)):
            # On time, late, too late to be judged, or the same again; of new series too.
            ago = chance.choice([0, 1, 2, 20, 50, 240, 500]) * SECOND
            one = (chance.choice(hosts), chance.choice(["cpu", "requests", "other"]), at - ago, chance.randrange(100))
            sent.append((one, {"core": str(chance.randrange(3))}))
        for one, labels in sent[-3:] + ([chance.choice(sent)] if sent else []):
            store(*one, **labels)
        if chance.random() < 0.2:
            running = Recent()
        spans = SPANS if chance.random() < 0.8 else {"cpu": SPANS["cpu"]}
        assert rows(running, at, spans) == rows(Recent(), at, spans)
    assert rows(running, at)


def test_what_is_known_is_not_read_again(asset, now):
    host, recent = asset(), Recent()
    store(host, "cpu", now, 1)
    rows(recent, now)
    for step in (1, 2):
        store(host, "cpu", now + step * SECOND, step)
        with CaptureQueriesContext(connection) as captured:
            assert len(rows(recent, now + step * SECOND)) == step + 1
    assert [query["sql"].split("FROM ")[1].split()[0] for query in captured] == ["pg_stat_activity"]


def test_a_frame_whose_transaction_was_open_during_the_last_read_is_not_missed(asset, now, monkeypatch):
    from assets.metrics.committing import lookup_connection

    monkeypatch.setattr("assets.metrics.recent._MOMENT", timedelta(milliseconds=1))
    host, recent = asset(), Recent()
    store(host, "cpu", now - SECOND, 1)
    slow = lookup_connection()
    with slow.transaction():
        slow.execute(
            """INSERT INTO metric_frame (asset_id, layout_id, ts, "values")
               SELECT asset_id, layout_id, %s, '{7}' FROM metric_frame WHERE asset_id = %s LIMIT 1""",
            [now, host.pk],
        )
        assert len(rows(recent, now)) == 1
        assert len(rows(recent, now + SECOND)) == 1
    assert {value for _, _, value in rows(recent, now + 2 * SECOND)} == {1, 7}


@pytest.mark.parametrize("jump", [timedelta(hours=3), timedelta(hours=-3)])
def test_after_a_clock_has_jumped_the_samples_are_read_anew(asset, now, jump):
    host, recent = asset(), Recent()
    store(host, "cpu", now, 1)
    assert len(rows(recent, now)) == 1
    rows(recent, now + jump)
    assert len(rows(recent, now + SECOND)) == 1


def test_a_metric_that_is_asked_for_later_or_further_back_is_read_from_where_it_is_stored(asset, now):
    host, recent = asset(), Recent()
    store(host, "cpu", now - 40 * SECOND, 1)
    store(host, "requests", now, 2)
    assert rows(recent, now, {"cpu": 30 * SECOND}) == set()
    assert len(rows(recent, now + SECOND, {"cpu": 60 * SECOND, "requests": 60 * SECOND})) == 2


def test_a_series_that_is_made_before_another_metric_is_asked_for_is_not_passed_over(asset, now):
    host, recent = asset(), Recent()
    store(host, "cpu", now, 1, core="0")
    assert len(rows(recent, now, {"cpu": 60 * SECOND})) == 1
    store(host, "cpu", now + SECOND, 2, core="1")
    store(host, "requests", now + SECOND, 3)
    both = {"cpu": 60 * SECOND, "requests": 60 * SECOND}
    assert rows(recent, now + 2 * SECOND, both) == rows(Recent(), now + 2 * SECOND, both)


def test_what_compaction_moves_stays_known(asset, now):
    host, recent = asset(), Recent()
    hour = now.replace(minute=0, second=0)
    spans = {"cpu": timedelta(hours=3)}
    store(host, "cpu", now, 1)
    before = rows(recent, now, spans)
    compaction.compact(hour + timedelta(hours=2))
    assert rows(recent, now + SECOND, spans) == before == rows(Recent(), now + SECOND, spans)


def test_an_error_leaves_nothing_half_read(asset, now, monkeypatch):
    host, recent = asset(), Recent()
    store(host, "cpu", now, 1)
    rows(recent, now)
    with monkeypatch.context() as broken:
        broken.setattr("assets.metrics.recent._new_frames", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rows(recent, now + SECOND)
    assert len(rows(recent, now + SECOND)) == 1
