"""Planned maintenance, for the apps that do not know its windows: whoever keeps them registers how to ask.

What is not registered is not planned: an installation without alerting has no maintenance.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from uuid import UUID

# Those of the assets that are in maintenance at a moment.
Ask = Callable[[Collection[UUID], datetime], set[UUID]]
_asked: list[Ask] = []


def register(ask: Ask) -> None:
    """Called once, when the app that keeps windows is ready."""
    _asked.append(ask)


def in_maintenance(asset_ids: Collection[UUID], at: datetime) -> set[UUID]:
    """Those of the assets whose silence or trouble is planned at that moment."""
    return {asset for ask in _asked for asset in ask(asset_ids, at)} if asset_ids else set()
