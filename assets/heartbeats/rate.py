"""How often one key may ping: so many times a minute, counted in this process. Pure: no Django, no clock."""

from __future__ import annotations

from collections.abc import Hashable
from threading import Lock

_MOST_KEYS = 100_000


class RateLimit:
    """Counts by key and minute; it forgets every minute, and never keeps more than some keys."""

    def __init__(self, per_minute: int):
        self.per_minute = per_minute
        self._minute = 0
        self._counts: dict[Hashable, int] = {}
        self._lock = Lock()

    def allows(self, key: Hashable, now_seconds: float) -> bool:
        """Whether `key` may go on at this time (Unix seconds); it counts."""
        minute = int(now_seconds // 60)
        with self._lock:
            if minute != self._minute or len(self._counts) >= _MOST_KEYS:
                self._minute, self._counts = minute, {}
            self._counts[key] = self._counts.get(key, 0) + 1
            return self._counts[key] <= self.per_minute
