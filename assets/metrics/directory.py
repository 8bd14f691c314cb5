"""Which series of which asset a sender's label set is: found out once, then remembered as it was sent.

What is remembered is a number per label set; the rest is arrays, so that a request costs one look-up per series. An
entry counts as long as the name that led to its asset still leads there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

_REMEMBERED = 500_000


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

    def keep(self, entries: dict[Hashable, Entry]) -> None:
        with self.lock:
            for name, entry in entries.items():
                owner = self.numbers.setdefault(entry.owner, len(self.owners))
                if owner == len(self.owners):
                    self.owners.append(entry.owner)
                row = len(self.rows) if name not in self.rows else self.rows[name]
                if row == len(self.table):
                    self.table = np.concatenate([self.table, np.empty_like(self.table)])
                self.table[row] = owner, entry.series_id
                # Last, because other threads read without the lock.
                self.rows[name] = row


_Scope = tuple[str, UUID | None]
_pages: dict[_Scope, _Page] = {}


def forget() -> None:
    """Drop what this process remembers."""
    _pages.clear()


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
    page = _pages.get(scope)
    if page is None:
        return Found([], np.full((len(names), 2), -1, dtype=np.int64))
    get = page.rows.get
    rows = np.array([get(name, -1) for name in names], dtype=np.int64)
    table = page.table[rows]
    table[rows < 0] = -1
    seen = np.unique(table[:, 0])
    seen = seen[seen >= 0]
    there = np.array(still_there([page.owners[number] for number in seen.tolist()]), dtype=bool)
    table[np.isin(table[:, 0], seen[~there])] = -1
    return Found(page.owners, table)


def keep(scope: _Scope, entries: dict[Hashable, Entry]) -> None:
    """Remember `entries`; when there is no more room everything is found out anew."""
    if sum(len(page.rows) for page in _pages.values()) + len(entries) > _REMEMBERED:
        _pages.clear()
    _pages.setdefault(scope, _Page()).keep(entries)
