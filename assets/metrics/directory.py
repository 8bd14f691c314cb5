"""Which series of which asset a sender's label set is: found out once, then remembered as it was sent.

What is remembered is a number per label set; the rest is arrays, so that a request costs one look-up per series. An
entry counts as long as the name that led to its asset still leads there.

Memory is bounded: two generations of ROOM_BYTES each, of which the older is dropped as a whole. What is still sent when
a generation is full is carried into the next one; what is not, is gone after two. An entry takes its label set and
ENTRY_BYTES: 230 bytes for a usual label set of 85, so that a generation has room for a million.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

ROOM_BYTES = 256 * 1024 * 1024
# Measured: the mapping's place, the key's header, the row's number, and the row.
ENTRY_BYTES = 145


@dataclass(frozen=True)
class Owner:
    """An asset by the name that a sender gives it; None for the sender's own."""

    name: str | None
    asset_id: UUID


@dataclass(frozen=True)
class Entry:
    """A label set's asset and series."""

    owner: Owner
    series_id: int


@dataclass
class _Page:
    """What is known of one sender's label sets of one form."""

    rows: dict[Hashable, int] = field(default_factory=dict)
    owners: list[Owner] = field(default_factory=list)
    numbers: dict[Owner, int] = field(default_factory=dict)
    table: NDArray[np.int64] = field(default_factory=lambda: np.empty((64, 2), dtype=np.int64))  # owner, series
    lock: Lock = field(default_factory=Lock)

    def keep(self, entries: dict[Hashable, Entry]) -> int:
        """Remember `entries`; the bytes that this takes."""
        with self.lock:
            strange = [name for name in entries if name not in self.rows]
            new = dict(zip(strange, range(len(self.rows), len(self.rows) + len(strange)), strict=True))
            while len(self.rows) + len(new) > len(self.table):
                self.table = np.concatenate([self.table, np.empty_like(self.table)])
            places = [new[name] if name in new else self.rows[name] for name in entries]
            self.table[places] = [(self._number(entry.owner), entry.series_id) for entry in entries.values()]
            # Last, because other threads read without the lock.
            self.rows.update(new)
        return sum(ENTRY_BYTES + _size(name) for name in new)

    def _number(self, owner: Owner) -> int:
        number = self.numbers.setdefault(owner, len(self.owners))
        if number == len(self.owners):
            self.owners.append(owner)
        return number

    def find(self, names: Sequence[Hashable]) -> NDArray[np.int64]:
        """(n, 2) owner's number and series id of each of `names`, -1 where it is unknown."""
        get = self.rows.get
        rows = np.array([get(name, -1) for name in names], dtype=np.int64)
        table = self.table[rows]
        table[rows < 0] = -1
        return table


def _size(name: Hashable) -> int:
    return len(name) if isinstance(name, bytes) else len(repr(name))


_Scope = tuple[str, UUID | None]


@dataclass
class _Generation:
    pages: dict[_Scope, _Page] = field(default_factory=dict)
    taken: int = 0  # bytes


_young, _old = _Generation(), _Generation()
_turning = Lock()


def forget() -> None:
    """Drop what this process remembers."""
    global _young, _old
    _young, _old = _Generation(), _Generation()


@dataclass(frozen=True)
class Found:
    """Per name (n, 2): the place of its owner in `owners` and its series id; -1 where it has none."""

    owners: list[Owner]
    table: NDArray[np.int64]

    def add(self, entries: dict[int, Entry]) -> Found:
        """The same with these entries, by the numbers of their names."""
        owners, table = list(self.owners), self.table.copy()
        numbers: dict[Owner, int] = {}
        for number, entry in entries.items():
            owner = numbers.setdefault(entry.owner, len(owners))
            if owner == len(owners):
                owners.append(entry.owner)
            table[number] = owner, entry.series_id
        return Found(owners, table)


StillThere = Callable[[Sequence[Owner]], Sequence[bool]]


def look_up(scope: _Scope, names: Sequence[Hashable], still_there: StillThere) -> Found:
    """What is known of `names`, without the owners that are no longer there."""
    page = _young.pages.get(scope, _Page())
    found = _narrow(page.owners, page.find(names))
    if (older := _old.pages.get(scope)) and (found.table[:, 0] < 0).any():
        carried = _entries(older, names, np.flatnonzero(found.table[:, 0] < 0))
        keep(scope, {names[number]: entry for number, entry in carried.items()})
        found = found.add(carried)
    gone = np.flatnonzero(~np.array(still_there(found.owners), dtype=bool))
    found.table[np.isin(found.table[:, 0], gone)] = -1
    return found


def _narrow(owners: list[Owner], table: NDArray[np.int64]) -> Found:
    """The same with those of `owners` that have a row in `table`: a request is of few of a sender's assets."""
    seen = np.unique(table[:, 0])
    seen = seen[seen >= 0]
    known = table[:, 0] >= 0
    table[known, 0] = np.searchsorted(seen, table[known, 0])
    return Found([owners[number] for number in seen.tolist()], table)


def _entries(page: _Page, names: Sequence[Hashable], wanted: NDArray[np.int64]) -> dict[int, Entry]:
    """What `page` knows of the names with the numbers `wanted`."""
    table = page.find([names[number] for number in wanted.tolist()]).tolist()
    return {
        number: Entry(page.owners[owner], series_id)
        for number, (owner, series_id) in zip(wanted.tolist(), table, strict=True)
        if owner >= 0
    }


def keep(scope: _Scope, entries: dict[Hashable, Entry]) -> None:
    """Remember `entries`."""
    global _young, _old
    if not entries:
        return
    generation = _young
    generation.taken += generation.pages.setdefault(scope, _Page()).keep(entries)
    with _turning:
        if generation is _young and generation.taken > ROOM_BYTES:
            _young, _old = _Generation(), generation
