"""Pings over HTTP and the tick, down to stored samples."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection

from alerts import defaults, evaluation
from alerts.models import AlertInstance, AlertRule
from assets.heartbeats import endpoint, pings
from assets.heartbeats.models import Heartbeat
from assets.heartbeats.rate import RateLimit
from assets.metrics import ingestion, query
from assets.metrics.committing import Unavailable
from assets.metrics.query import SeriesSelector

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def beat(asset):
    return Heartbeat.objects.create(heartbeat_name="backup", asset=asset(), period_seconds=3600, grace_seconds=600)


def stored(beat: Heartbeat, metric: str) -> list[float]:
    """The stored values of a heartbeat's series in the last day and the next minutes."""
    now = datetime.now(UTC)
    samples = query.read(SeriesSelector((metric,), (beat.asset_id,)), now - timedelta(days=1), now + timedelta(hours=1))
    return samples.of(0)[1].tolist() if samples.series else []


def url(beat: Heartbeat, *path: object) -> str:
    return "/".join(["/ping", str(beat.ping_key), *map(str, path)])


@pytest.mark.parametrize("method", ["get", "post", "head"])
def test_a_ping_needs_nothing_but_its_address(client, beat, method):
    assert getattr(client, method)(url(beat)).status_code == 200
    beat.refresh_from_db()
    assert beat.last_success_at is not None
    assert stored(beat, "heartbeat_up") == [1.0]
    assert stored(beat, "heartbeat_age_seconds") == [0.0]


@pytest.mark.parametrize(
    ("path", "up", "status"), [("fail", 0.0, None), ("0", 1.0, 0), ("1", 0.0, 1), ("255", 0.0, 255)]
)
def test_a_job_says_how_it_ended(client, beat, path, up, status):
    assert client.get(url(beat, path)).status_code == 200
    beat.refresh_from_db()
    assert beat.last_exit_status == status
    assert stored(beat, "heartbeat_up") == [up]


def test_a_run_from_start_to_end_has_a_duration(client, beat):
    client.get(url(beat, "start"))
    Heartbeat.objects.update(started_at=datetime.now(UTC) - timedelta(seconds=90))
    client.get(url(beat))
    beat.refresh_from_db()
    assert 90 <= beat.last_duration_seconds < 120
    assert stored(beat, "heartbeat_duration_seconds") == [beat.last_duration_seconds]
    client.get(url(beat))
    assert len(stored(beat, "heartbeat_duration_seconds")) == 1


def test_the_beginning_of_the_body_is_kept(client, beat):
    client.post(url(beat, "fail"), b"disk\0full \xff" + b"x" * 50_000, content_type="text/plain")
    beat.refresh_from_db()
    assert beat.last_log.startswith("disk\N{REPLACEMENT CHARACTER}full \N{REPLACEMENT CHARACTER}xx")
    assert len(beat.last_log) == pings.MAX_LOG_BYTES


@pytest.mark.parametrize(
    ("path", "code"), [("256", 400), ("99999999999999999999", 400), ("-1", 404), ("nonsense", 404)]
)
def test_what_is_no_ping_is_told_so(client, beat, path, code):
    answer = client.get(url(beat, path))
    assert (answer.status_code, "html" in answer["Content-Type"]) == (code, False)


def test_an_unknown_address_is_404_and_other_methods_405(client, beat):
    assert client.get(f"/ping/{uuid.uuid4()}").status_code == 404
    assert client.delete(url(beat)).status_code == 405


def test_a_database_that_is_away_is_503(client, beat, monkeypatch):
    def away(*_: object) -> None:
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(pings, "take", away)
    answer = client.get(url(beat))
    assert answer.status_code == 503
    assert answer["Retry-After"]


def test_a_ping_is_noted_although_its_samples_cannot_be_stored(client, beat, monkeypatch):
    def away(*_: object) -> None:
        raise Unavailable("no")

    with monkeypatch.context() as patched:
        patched.setattr(ingestion, "store_samples", away)
        assert client.get(url(beat)).status_code == 200
    beat.refresh_from_db()
    assert beat.last_success_at is not None
    assert pings.check_due(datetime.now(UTC)) == 1
    assert stored(beat, "heartbeat_up") == [1.0]


def test_too_many_pings_of_one_key_are_put_off_and_others_are_not(client, beat, asset, monkeypatch):
    monkeypatch.setattr(endpoint, "_limit", RateLimit(2))
    other = Heartbeat.objects.create(heartbeat_name="other", asset=asset("db-01"), period_seconds=60)
    assert [client.get(url(beat)).status_code for _ in range(3)].count(429) == 1
    assert client.get(url(other)).status_code == 200


def test_a_limit_counts_anew_every_minute():
    limit = RateLimit(1)
    assert [limit.allows("a", 0), limit.allows("a", 59), limit.allows("b", 59), limit.allows("a", 60)] == [
        True, False, True, True,
    ]  # fmt: skip


def test_the_tick_writes_every_minute_and_at_once_when_the_state_changes(client, beat):
    client.get(url(beat))
    beat.refresh_from_db()
    pings.check_due(beat.last_ping_at)
    for late, due in ((30, 0), (60, 1), (90, 0), (120, 1)):
        assert pings.check_due(beat.last_ping_at + timedelta(seconds=late)) == due
    Heartbeat.objects.update(next_check_at=beat.down_at - timedelta(seconds=20))
    pings.check_due(beat.down_at - timedelta(seconds=20))
    assert Heartbeat.objects.get().next_check_at == beat.down_at


def test_a_tick_that_cannot_store_leaves_all_due(beat, client, monkeypatch):
    client.get(url(beat))

    def away(*_: object) -> None:
        raise Unavailable("no")

    monkeypatch.setattr(ingestion, "store_samples", away)
    with pytest.raises(Unavailable):
        pings.check_due(datetime.now(UTC))
    monkeypatch.undo()
    assert pings.check_due(datetime.now(UTC)) == 1


def test_new_and_paused_ones_have_no_sample(beat, client):
    assert pings.check_due(datetime.now(UTC)) == 1
    client.get(url(beat))
    beat.refresh_from_db()
    beat.is_paused = True
    beat.save()
    assert pings.check_due(datetime.now(UTC) + timedelta(days=1)) == 0
    assert len(stored(beat, "heartbeat_up")) == 1


def test_saving_the_configuration_keeps_what_pings_said_meanwhile(client, beat):
    client.get(url(beat))
    beat.period_seconds = 60
    beat.save()
    kept = Heartbeat.objects.get()
    assert kept.last_success_at is not None
    assert kept.due_at == kept.last_success_at + timedelta(seconds=60)


def test_two_ticks_do_not_take_the_same_heartbeat(beat, django_db_blocker):
    import threading

    from django.db import transaction

    found: list[int] = []

    def tick() -> None:
        found.append(pings.check_due(datetime.now(UTC)))
        connection.close()

    with transaction.atomic():
        Heartbeat.objects.select_for_update().get()
        other = threading.Thread(target=tick)
        other.start()
        other.join()
    assert found == [0]


def test_silence_opens_an_alert_by_the_default_rule_and_a_ping_resolves_it(client, beat):
    defaults.create_rules()
    AlertRule.objects.exclude(rule_name="Missing heartbeat").delete()
    now = datetime.now(UTC)
    client.get(url(beat, "fail"))
    evaluation.evaluate_due(now + timedelta(seconds=20))
    assert AlertInstance.objects.get().status == "open"
    client.get(url(beat))
    Heartbeat.objects.update(next_check_at=now)
    later = now + timedelta(seconds=200)
    pings.check_due(later)
    evaluation.evaluate_due(later + timedelta(seconds=1))
    assert AlertInstance.objects.get().status == "resolved"
