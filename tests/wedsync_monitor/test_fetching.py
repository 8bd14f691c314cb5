"""Many pages at once, from real servers that behave badly."""

from __future__ import annotations

import socket

import pytest

from tests import exporters
from tests.exporters import PAGE, Exporter, says
from wedsync_monitor import fetching
from wedsync_monitor.fetching import Fetcher, Forbidden, Page, Unreachable


@pytest.fixture(autouse=True)
def loopback_is_allowed(settings):
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]


@pytest.fixture
def exporter():
    server = Exporter()
    yield server
    server.end()


@pytest.fixture
def fetch():
    with Fetcher() as fetcher:
        yield lambda url, seconds=5.0, size=100_000, **more: fetcher.fetch(Page(url, seconds, size, **more))


def test_a_page_is_fetched_with_its_headers_under_its_name(exporter, fetch):
    got = fetch(f"http://localhost:{exporter.server_port}/m?a=b", headers={"X-Key": "k"}).result()
    assert (got.status, got.body) == (200, PAGE)
    ((path, headers),) = exporter.got
    assert path == "/m?a=b"
    assert (headers["host"], headers["x-key"]) == (f"localhost:{exporter.server_port}", "k")


@pytest.mark.parametrize("behave", [exporters.hangs, exporters.drips])
def test_one_deadline_ends_what_hangs_or_drips(exporter, fetch, behave):
    exporter.behave = behave
    with pytest.raises(Unreachable, match="no whole answer within"):
        fetch(f"http://{exporter.address}/", 0.3).result(5)


@pytest.mark.parametrize("behave", [exporters.floods, exporters.breaks_off, exporters.babbles])
def test_what_is_no_whole_answer_is_told_so(exporter, fetch, behave):
    exporter.behave = behave
    with pytest.raises(Unreachable):
        fetch(f"http://{exporter.address}/").result(5)


def test_a_header_that_cannot_be_sent_is_not_told(exporter, fetch):
    with pytest.raises(Unreachable, match="a header of the request") as told:
        fetch(f"http://{exporter.address}/", headers={"Authorization": "Bearer sesame "}).result(5)
    assert "sesame" not in str(told.value)


def test_many_that_hang_are_waited_for_together(exporter, fetch):
    exporter.behave = exporters.hangs
    waiting = [fetch(f"http://{exporter.address}/{n}", 0.5) for n in range(50)]
    exporter_of_others = Exporter()
    assert fetch(f"http://{exporter_of_others.address}/").result(5).status == 200
    for one in waiting:
        assert isinstance(one.exception(5), Unreachable)
    exporter_of_others.end()


def test_a_redirection_is_not_followed(exporter, fetch):
    exporter.behave = says(b"", code=302, Location="http://169.254.169.254/latest/meta-data/")
    got = fetch(f"http://{exporter.address}/").result()
    assert got.status == 302
    assert len(exporter.got) == 1


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "http://[::ffff:169.254.169.254]/", "http://10.0.0.1/", "http://[fe80::1]/",
            "ftp://127.0.0.1/", "http://user:pw@127.0.0.1/", "http://127.0.0.1:99999/"],
)  # fmt: skip
def test_forbidden_addresses_are_not_reached(fetch, url):
    with pytest.raises(Forbidden):
        fetch(url).result(5)


def test_a_name_that_resolves_to_a_forbidden_address_too_is_not_reached(fetch, monkeypatch):
    both = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", 80)), (socket.AF_INET, 1, 6, "", ("169.254.169.254", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(Forbidden):
        fetch("http://rebinding.example.com/").result(5)


def test_the_environments_proxies_are_not_used(exporter, fetch, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    assert fetch(f"http://{exporter.address}/").result().status == 200


def test_what_is_held_at_once_is_bounded(exporter, fetch, monkeypatch):
    monkeypatch.setattr(fetching, "MAX_BYTES_AT_ONCE", 1000)
    exporter.behave = says(b"x" * 5000)
    with pytest.raises(Unreachable, match="at once"):
        fetch(f"http://{exporter.address}/").result(5)
    exporter.behave = says(b"x" * 500)
    assert fetch(f"http://{exporter.address}/").result(5).status == 200


def test_leaving_ends_what_is_under_way(exporter):
    exporter.behave = exporters.hangs
    with Fetcher() as fetcher:
        future = fetcher.fetch(Page(f"http://{exporter.address}/", 20, 1000))
    assert future.done() or future.cancelled()
