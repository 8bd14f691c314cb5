"""What the house's rules say about the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

HOUSE = Path(__file__).parents[1]
DOOR = HOUSE / "alerts" / "transitions" / "door.py"
ROOMS = ("alerts", "assets", "capacity", "remediation", "synthetic", "wedsync_monitor")
# The state of a maintenance window is no alert's.
OF_WINDOWS = {HOUSE / "alerts" / "suppression" / name for name in ("calendars.py", "windows.py")}
WRITERS = {"AlertInstance", "create", "update", "get_or_create", "update_or_create"}


def _modules() -> Iterator[Path]:
    for room in ROOMS:
        yield from (path for path in (HOUSE / room).rglob("*.py") if "migrations" not in path.parts)


def _state_writes(tree: ast.Module) -> Iterator[int]:
    """The lines that assign `.status` or `.state`, or that write an AlertInstance with one of them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr in ("status", "state"):
            yield node.lineno
        if isinstance(node, ast.Call) and any(word.arg in ("status", "state") for word in node.keywords):
            called = ast.unparse(node.func)
            if called.split(".")[0] == "AlertInstance" and called.split(".")[-1] in WRITERS:
                yield node.lineno


def _knows_alerts(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.alias) and node.name == "AlertInstance" for node in ast.walk(tree))


def test_an_alerts_state_is_written_by_its_one_door_alone():
    found = []
    for path in _modules():
        tree = ast.parse(path.read_text())
        if path not in {DOOR, *OF_WINDOWS} and ("alerts" in path.relative_to(HOUSE).parts[:1] or _knows_alerts(tree)):
            found += [f"{path.relative_to(HOUSE)}:{line}" for line in _state_writes(tree)]
    assert found == []
    assert list(_state_writes(ast.parse(DOOR.read_text())))
