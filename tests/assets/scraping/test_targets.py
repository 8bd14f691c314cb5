"""Targets follow their lists; a list that fails changes nothing."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from assets.models import InfrastructureAsset
from assets.scraping import discovery, targets
from assets.scraping.models import ScrapeJob, ScrapeTarget
from tests import exporters
from tests.exporters import Exporter, says
from wedsync_monitor.models import AuditEntry

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def surroundings(settings, tmp_path):
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    settings.FILE_SD_DIR = tmp_path / "lists"
    settings.FILE_SD_DIR.mkdir()


@pytest.fixture
def lister():
    server = Exporter()
    yield server
    server.end()


def listing(*addresses: str, **labels: str) -> bytes:
    return json.dumps([{"targets": list(addresses), "labels": labels}]).encode()


def job(**columns) -> ScrapeJob:
    columns = {"job_name": "node", "static_targets": [{"targets": ["web-01:9100"]}]} | columns
    return ScrapeJob.objects.create(**columns)


def states(**filters) -> dict[str, str]:
    return {row.address: row.state for row in ScrapeTarget.objects.filter(**filters)}


def refresh(now):
    ScrapeJob.objects.update(next_refresh_at=now)
    return targets.refresh_due(now)


def test_a_new_job_is_followed_at_once_and_then_at_its_interval(asset, now):
    asset("web-01")
    row = job()
    assert targets.refresh_due(row.next_refresh_at) == 1
    assert states() == {"web-01:9100": "unknown"}
    assert targets.refresh_due(row.next_refresh_at + timedelta(seconds=59)) == 0
    assert targets.refresh_due(row.next_refresh_at + timedelta(seconds=60)) == 1


def test_targets_vanish_and_come_back_at_a_slot_of_theirs(asset, now):
    asset("web-01")
    asset("web-02")
    row = job(static_targets=[{"targets": ["web-01:9100", "web-02:9100"]}])
    refresh(now)
    row.static_targets = [{"targets": ["web-01:9100"]}]
    row.save()
    refresh(now + timedelta(minutes=5))
    assert states() == {"web-01:9100": "unknown", "web-02:9100": "vanished"}
    row.static_targets = [{"targets": ["web-01:9100", "web-02:9100"]}]
    row.save()
    back = now + timedelta(minutes=10)
    refresh(back)
    assert states() == {"web-01:9100": "unknown", "web-02:9100": "unknown"}
    assert ScrapeTarget.objects.get(address="web-02:9100").next_scrape_at > back


def test_what_vanished_long_ago_is_forgotten(asset, now):
    asset("web-01")
    row = job()
    refresh(now)
    ScrapeTarget.objects.update(vanished_at=now - timedelta(days=2))
    row.static_targets = [{"targets": ["db-01:9100"]}]
    row.save()
    refresh(now)
    assert set(states()) == {"db-01:9100"}


def test_a_list_by_http_is_asked_with_its_secrets(asset, now, lister):
    asset("web-01")
    lister.behave = says(listing("web-01:9100", team="web"), "application/json")
    job(source="http_sd", sd_url=f"http://{lister.address}/sd", request={"discovery_headers": {"X-Key": "sesame"}})
    refresh(now)
    assert lister.got[0][1]["x-key"] == "sesame"
    assert ScrapeTarget.objects.get().labels == {"team": "web"}


@pytest.mark.parametrize(
    "behave",
    [
        exporters.breaks_off,
        exporters.bomb(),
        says(b"<html>", "text/html"),
        says(b"[]", code=500),
        says(b"", code=302, Location="http://169.254.169.254/"),
        says(listing("http://web-01/"), "application/json"),
        says(b'{"targets": []}', "application/json"),
    ],
)
def test_a_list_that_fails_keeps_what_was_known_and_says_why(asset, now, lister, behave):
    asset("web-01")
    lister.behave = says(listing("web-01:9100"), "application/json")
    row = job(source="http_sd", sd_url=f"http://{lister.address}/sd")
    refresh(now)
    lister.behave = behave
    refresh(now + timedelta(minutes=1))
    row.refresh_from_db()
    assert states() == {"web-01:9100": "unknown"}
    assert row.last_refresh_error
    lister.behave = says(listing(), "application/json")
    refresh(now + timedelta(minutes=2))
    row.refresh_from_db()
    assert (states(), row.last_refresh_error) == ({"web-01:9100": "vanished"}, "")


def test_one_list_of_endless_depth_does_not_stop_the_others(asset, now, lister):
    asset("web-01")
    lister.behave = says(b'[{"targets":[],"x":' + b"[" * 100_000, "application/json")
    job(job_name="deep", source="http_sd", sd_url=f"http://{lister.address}/sd")
    job()
    assert refresh(now) == 2
    assert states() == {"web-01:9100": "unknown"}
    assert "recursion" in ScrapeJob.objects.get(job_name="deep").last_refresh_error


def test_one_list_that_hangs_does_not_stop_the_others(asset, now, lister, monkeypatch):
    monkeypatch.setattr(targets, "LIST_TIMEOUT_SECONDS", 0.2)
    asset("web-01")
    lister.behave = exporters.hangs
    job(job_name="hanging", source="http_sd", sd_url=f"http://{lister.address}/sd")
    job()
    assert refresh(now) == 2
    assert states() == {"web-01:9100": "unknown"}
    assert "no whole answer" in ScrapeJob.objects.get(job_name="hanging").last_refresh_error


def test_files_of_the_folder_are_read_in_both_forms(asset, now, settings):
    asset("web-01")
    asset("db-01")
    (settings.FILE_SD_DIR / "a.json").write_bytes(listing("web-01:9100"))
    (settings.FILE_SD_DIR / "b.yml").write_text("- targets: ['db-01:9100']\n")
    (settings.FILE_SD_DIR / "c.txt").write_text("no list")
    job(job_name="json", source="file_sd", sd_file="*.json")
    job(job_name="yaml", source="file_sd", sd_file="b.yml")
    refresh(now)
    assert set(states()) == {"web-01:9100", "db-01:9100"}


def test_a_file_that_leads_out_of_the_folder_is_not_read(now, settings, tmp_path):
    (tmp_path / "secret.json").write_bytes(listing("web-01:9100"))
    (settings.FILE_SD_DIR / "link.json").symlink_to(tmp_path / "secret.json")
    row = job(source="file_sd", sd_file="link.json")
    refresh(now)
    row.refresh_from_db()
    assert "leads out" in row.last_refresh_error
    assert states() == {}


def test_a_file_that_is_missing_or_broken_keeps_what_was_known(asset, now, settings):
    asset("web-01")
    file = settings.FILE_SD_DIR / "a.json"
    file.write_bytes(listing("web-01:9100"))
    row = job(source="file_sd", sd_file="a.json")
    refresh(now)
    for spoil in (lambda: file.write_text("[{"), file.unlink):
        spoil()
        refresh(now + timedelta(minutes=1))
        row.refresh_from_db()
        assert (states(), bool(row.last_refresh_error)) == ({"web-01:9100": "unknown"}, True)


@pytest.mark.parametrize(
    ("columns", "labels", "name"),
    [
        ({}, {}, "web-01"),
        ({}, {"host": "db-01"}, "db-01"),
        ({}, {"asset": "db-01"}, "db-01"),
        ({"asset_label": "box"}, {"box": "db-01"}, "db-01"),
        ({"asset_label": "box"}, {}, None),
        ({"labels": {"host": "db-01"}}, {}, "db-01"),
        ({}, {"host": "unknown"}, None),
    ],
)
def test_whose_a_target_is_follows_from_its_labels(asset, now, columns, labels, name):
    asset("web-01")
    asset("db-01")
    job(static_targets=[{"targets": ["web-01:9100"], "labels": labels}], **columns)
    refresh(now)
    row = ScrapeTarget.objects.get()
    assert (row.asset and row.asset.asset_name) == name
    assert bool(row.problem) == (name is None)


def test_an_asset_of_the_job_owns_all_targets(asset, now):
    job(asset=asset("cluster"))
    refresh(now)
    assert ScrapeTarget.objects.get().asset.asset_name == "cluster"


def test_a_job_that_may_makes_assets_of_unknown_hosts_once(now):
    job(create_assets=True, environment="staging", static_targets=[{"targets": ["web-01:9100", "web-01:9104"]}])
    refresh(now)
    refresh(now + timedelta(minutes=1))
    made = InfrastructureAsset.objects.get()
    assert (made.asset_name, made.environment, made.tags) == ("web-01", "staging", ["discovered:scrape"])
    assert AuditEntry.objects.get(table_name="infrastructure_assets").actor_name == "scrape job node"


def test_a_job_makes_so_many_assets_an_hour_and_says_so_of_the_others(now, monkeypatch):
    monkeypatch.setattr(targets, "MAX_MADE_AN_HOUR", 2)
    row = job(create_assets=True, static_targets=[{"targets": ["a:1", "b:1", "c:1"]}])
    for _ in range(2):
        refresh(now)
        assert sorted(one.asset_name for one in InfrastructureAsset.objects.all()) == ["a", "b"]
    assert "at most 2 in an hour" in ScrapeTarget.objects.get(address="c:1").problem
    InfrastructureAsset.objects.update(created_at=now - timedelta(hours=2))
    refresh(now)
    assert ScrapeTarget.objects.get(address="c:1").asset.configuration["discovered"]["job"] == str(row.pk)


def test_an_asset_that_is_registered_later_is_found(asset, now):
    job()
    refresh(now)
    assert states() == {"web-01:9100": "without asset"}
    asset("web-01")
    refresh(now + timedelta(minutes=1))
    assert states() == {"web-01:9100": "unknown"}


def test_a_slower_look_does_not_undo_a_newer_one(asset, now):
    asset("web-01")
    row = job()
    newer = discovery.targets_of([discovery.TargetGroup(["web-01:9100"])], "http", "/metrics")
    targets.keep(row, newer, now)
    targets.keep(row, [], now - timedelta(seconds=5))
    assert states() == {"web-01:9100": "unknown"}


def test_the_number_of_statements_does_not_grow_with_the_targets(asset, now):
    asset("web-01")
    row = job(asset=InfrastructureAsset.objects.get())

    def statements(number: int, moment) -> int:
        found = discovery.targets_of([discovery.TargetGroup([f"h{n}:1" for n in range(number)])], "http", "/m")
        with CaptureQueriesContext(connection) as caught:
            targets.keep(row, found, moment)
        return len(caught)

    assert statements(3, now) == statements(300, now + timedelta(seconds=1)) <= 9
