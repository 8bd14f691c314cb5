"""A plan in words, as the command prints it and pages show it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from wedsync_monitor.configuration.applying import Action, Change
from wedsync_monitor.configuration.differences import MISSING

SIGNS = {Action.CREATE: "+", Action.CHANGE: "~", Action.DELETE: "-"}


def lines(changes: Sequence[Change]) -> Iterator[str]:
    """Every change with its fields, rows that no file names, and the sum."""
    for change in changes:
        if change.action in SIGNS:
            yield f'{SIGNS[change.action]} {change.section}["{change.name}"]'
            for one in change.differences:
                values = one.new if one.before is MISSING else f"{one.old} → {one.new}"
                yield f"    {one.field}: {values}"
        elif change.action is Action.UNLISTED:
            yield f'  {change.section}["{change.name}"] is in no file and stays; --prune deletes it'
    yield summary(changes)


def summary(changes: Sequence[Change]) -> str:
    counts = Counter(change.action for change in changes)
    told = f"{counts[Action.CREATE]} to create, {counts[Action.CHANGE]} to change, {counts[Action.DELETE]} to delete"
    return f"{told}; {counts[Action.UNCHANGED]} as they are, {counts[Action.UNLISTED]} in no file."


def is_nothing(changes: Sequence[Change]) -> bool:
    """Whether applying would change nothing."""
    return not any(change.action in SIGNS for change in changes)
