"""Which assets senders mean: by id or by name, remembered for some seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from uuid import UUID

from assets import discovered
from assets.models import InfrastructureAsset

_REMEMBERED_SECONDS = 30.0
_assets: dict[str, tuple[UUID, float]] = {}


def forget() -> None:
    """Look all up anew."""
    _assets.clear()


def find_assets(names: Iterable[str]) -> dict[str, UUID]:
    """The ids of the assets that exist among `names` (ids or names); kept for some seconds."""
    now = time.monotonic()
    found = {name: known[0] for name in names if (known := _assets.get(name)) and known[1] > now}
    missing = [name for name in names if name not in found and "\0" not in name]
    if missing:
        looked_up = _look_up(missing)
        _remember(looked_up)
        found |= looked_up
    return found


def _remember(found: dict[str, UUID]) -> None:
    until = time.monotonic() + _REMEMBERED_SECONDS
    if len(_assets) > 100_000:
        _assets.clear()
    _assets.update({name: (asset_id, until) for name, asset_id in found.items()})


def finder(discoverer: UUID | None, now: datetime) -> Callable[[Iterable[str]], dict[str, UUID]]:
    """How a sender's assets are found: for a token that may discover, unknown hosts become assets."""
    return find_assets if discoverer is None else partial(_find_or_discover, discoverer, now)


def _find_or_discover(token_id: UUID, now: datetime, names: Iterable[str]) -> dict[str, UUID]:
    names = set(names)
    found = find_assets(names)
    if unknown := names - found.keys():
        made = discovered.discover(unknown, token_id, now)
        _remember(made)
        found |= made
    return found


def _look_up(names: list[str]) -> dict[str, UUID]:
    ids = {name: parsed for name in names if (parsed := _as_uuid(name))}
    known = set(InfrastructureAsset.objects.filter(pk__in=ids.values()).values_list("pk", flat=True))
    by_name = InfrastructureAsset.objects.filter(asset_name__in=[name for name in names if name not in ids])
    return {name: pk for name, pk in ids.items() if pk in known} | dict(by_name.values_list("asset_name", "pk"))


def _as_uuid(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None
