"""Who hangs on whom: the assets below one that is down. Pure: no Django."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from uuid import UUID


def below(down: Collection[UUID], upstream: Mapping[UUID, Iterable[UUID]]) -> dict[UUID, UUID]:
    """Of each asset that hangs on one of `down`, directly or through others, the one that it hangs on.

    `upstream` maps an asset to its parent and its dependencies. Two that are down and hang on each other hold neither
    back: somebody has to be told.
    """
    hanging: dict[UUID, list[UUID]] = defaultdict(list)
    for asset, ups in upstream.items():
        for one in ups:
            hanging[one].append(asset)
    reached = {one: _reached(one, hanging) for one in sorted(down, key=lambda one: one.bytes)}
    found: dict[UUID, UUID] = {}
    for cause, assets in reached.items():
        for asset in assets:
            if cause not in reached.get(asset, ()):
                found.setdefault(asset, cause)
    return found


def _reached(start: UUID, hanging: Mapping[UUID, list[UUID]]) -> set[UUID]:
    seen, waiting = {start}, [start]
    while waiting:
        for one in hanging.get(waiting.pop(), ()):
            if one not in seen:
                seen.add(one)
                waiting.append(one)
    return seen - {start}
