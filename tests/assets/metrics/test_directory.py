"""What is remembered of senders' label sets, and how much at most."""

from __future__ import annotations

import uuid

import pytest

from assets.metrics import directory
from assets.metrics.directory import Entry, Owner

SCOPE = ("remote write", None)
WEB, DB = Owner("web-01", uuid.uuid4()), Owner("db-01", uuid.uuid4())


@pytest.fixture(autouse=True)
def nothing_known():
    directory.forget()
    yield
    directory.forget()


def there(owners):
    return [True] * len(owners)


def known(names, still_there=there, scope=SCOPE):
    found = directory.look_up(scope, names, still_there)
    return [(found.owners[owner].name, series) if owner >= 0 else None for owner, series in found.table.tolist()]


def test_what_was_kept_is_found_by_its_sender_only():
    directory.keep(SCOPE, {b"a": Entry(WEB, 1), b"b": Entry(DB, 2)})
    directory.keep(SCOPE, {b"c": Entry(WEB, 3), b"b": Entry(DB, 5)})
    assert known([b"b", b"x", b"a", b"c", b"b"]) == [("db-01", 5), None, ("web-01", 1), ("web-01", 3), ("db-01", 5)]
    assert known([b"a"], scope=("remote write", uuid.uuid4())) == [None]


def test_nothing_to_keep_is_nothing_kept():
    directory.keep(SCOPE, {})
    assert known([b"a"]) == [None]
    assert known([]) == []


def test_series_of_an_owner_that_is_gone_are_unknown():
    directory.keep(SCOPE, {b"a": Entry(WEB, 1), b"b": Entry(DB, 2)})
    assert known([b"a", b"b"], lambda owners: [owner == DB for owner in owners]) == [None, ("db-01", 2)]


def test_a_request_is_asked_about_its_own_assets_only():
    directory.keep(SCOPE, {str(n).encode(): Entry(Owner(f"host-{n}", uuid.uuid4()), n) for n in range(1000)})
    asked = []
    known([b"7", b"9"], lambda owners: asked.extend(owners) or there(owners))
    assert [owner.name for owner in asked] == ["host-7", "host-9"]


def test_memory_is_bounded_and_what_is_in_use_stays(monkeypatch):
    monkeypatch.setattr(directory, "ROOM_BYTES", 100 * (directory.ENTRY_BYTES + 10))
    for n in range(2000):
        directory.keep(SCOPE, {b"%010d" % n: Entry(WEB, n), b"long-lived": Entry(DB, 7)} if n == 0 else
                       {b"%010d" % n: Entry(WEB, n)})  # fmt: skip
        assert known([b"long-lived"]) == [("db-01", 7)]
    kept = sum(len(page.rows) for one in (directory._young, directory._old) for page in one.pages.values())
    assert kept <= 2 * 101
    assert known([b"%010d" % 0, b"%010d" % 1999]) == [None, ("web-01", 1999)]
