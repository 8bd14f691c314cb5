"""What a process remembers within bounds: two generations, of which the older is dropped as a whole. Pure.

Nothing is kept per look-up, so that looking up is as quick as in a plain mapping. What is still used when a generation
ends is carried into the next one; what is not, is gone after two.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """A mapping that threads share and that holds twice `size` entries at most."""

    def __init__(self, size: int):
        self._size, self._lock = size, Lock()
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def find(self, keys: Collection[Key]) -> dict[Key, Value]:
        """The values of those of `keys` that are remembered."""
        young, old = self._young, self._old
        found = {key: value for key in keys if (value := young.get(key)) is not None}
        if not old:
            return found
        older = {key: value for key in keys if key not in found and (value := old.get(key)) is not None}
        if older:
            self.keep(older)
        return found | older

    def keep(self, found: Mapping[Key, Value]) -> None:
        """Remember `found`; None is not a value."""
        with self._lock:
            if self._young and len(self._young) + len(found) > self._size:
                self._old, self._young = self._young, {}
            self._young.update(found)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._young, self._old = {}, {}
