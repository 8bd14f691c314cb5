"""Parents and dependencies among assets: what exists, and that no asset leads back to itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import connection, transaction

if TYPE_CHECKING:
    from assets.models import InfrastructureAsset


class Refused(Exception):
    """The change is refused: `field` names the column, `reason` says what to send instead."""

    def __init__(self, field: str, reason: str):
        super().__init__(reason)
        self.field, self.reason = field, reason


@contextmanager
def alone() -> Iterator[None]:
    """A transaction in which no other changes parents or dependencies: two changes that are fine each by itself
    could close a cycle together."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('asset topology'))")
        yield


def path_back(start: UUID, edges: Mapping[UUID, Iterable[UUID]]) -> list[UUID] | None:
    """The shortest way from `start` along `edges` back to `start`, or None where there is none."""
    came_from: dict[UUID, UUID] = {}
    queue = [start]
    for node in queue:
        for following in edges.get(node, ()):
            if following == start:
                return _trace(start, node, came_from)
            if following not in came_from:
                came_from[following] = node
                queue.append(following)
    return None


def _trace(start: UUID, last: UUID, came_from: Mapping[UUID, UUID]) -> list[UUID]:
    path = [start, last] if last != start else [start]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1] if len(path) > 1 else [start, start]


def parse_ids(values: Iterable[str]) -> list[UUID]:
    """The UUIDs in `values`. Raises Refused for one that is not."""
    ids = []
    for value in values:
        try:
            ids.append(UUID(value))
        except (ValueError, AttributeError, TypeError) as error:
            raise Refused("dependencies", f"{value!r} is not an asset id; send the UUIDs of assets") from error
    return ids


def check(asset: InfrastructureAsset) -> None:
    """Raise Refused where `asset`'s dependencies are unknown or its parents or dependencies form a cycle."""
    model = type(asset)
    wanted = parse_ids(asset.dependencies or [])
    if wanted:
        known = set(model.objects.filter(pk__in=wanted).values_list("pk", flat=True))
        if missing := [str(pk) for pk in wanted if pk not in known]:
            raise Refused("dependencies", f"no asset has the id {', '.join(missing)}")
        rows = model.objects.exclude(dependencies=[]).values_list("pk", "dependencies")
        _refuse_cycle(asset, "dependencies", {pk: parse_ids(ids) for pk, ids in rows} | {asset.pk: wanted})
    if asset.parent_asset_id:
        parents = model.objects.exclude(parent_asset=None).values_list("pk", "parent_asset_id")
        edges = {pk: [parent] for pk, parent in parents if parent} | {asset.pk: [asset.parent_asset_id]}
        _refuse_cycle(asset, "parent_asset", edges)


def _refuse_cycle(asset: InfrastructureAsset, field: str, edges: Mapping[UUID, list[UUID]]) -> None:
    path = path_back(asset.pk, edges)
    if not path:
        return
    names = dict(type(asset).objects.filter(pk__in=path).values_list("pk", "asset_name"))
    names[asset.pk] = asset.asset_name
    steps = " → ".join(names.get(pk, str(pk)) for pk in path)
    raise Refused(field, f"this would be a cycle: {steps}; leave one of them out")
