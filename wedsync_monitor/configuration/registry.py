"""The kinds of configuration that the apps have declared."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wedsync_monitor.configuration.kinds import Kind

_modules: list[str] = []


def register(module: str) -> None:
    """Make the `KINDS` of an app's module known; an app calls it once, when it is ready. The module is imported when
    it is needed: its serializers bring all of REST along."""
    if module not in _modules:
        _modules.append(module)


@cache
def kinds() -> Mapping[str, Kind]:
    """Every kind by its section."""
    return {kind.section: kind for module in _modules for kind in import_module(module).KINDS}
