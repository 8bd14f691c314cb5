"""Which metrics, labels and values there are, for the pickers of dashboards."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from assets.metrics.promql import selecting
from assets.metrics.promql.naming import DERIVED
from assets.metrics.promql.syntax import NAME, Matcher
from assets.metrics.promql.vectors import Key, Labels, key_of
from wedsync_monitor.policy import Person

Choices = Sequence[Sequence[Matcher]]


def label_sets(person: Person, choices: Choices, limit: int | None = None) -> list[Labels]:
    """The label sets of the series that any of `choices` fits, in order: all of them, or `limit` at most."""
    found: dict[Key, Labels] = {}
    for matchers in choices:
        found.update(_label_sets(person, matchers, limit))
    return [found[key] for key in sorted(found)[:limit]]


def _label_sets(person: Person, matchers: Sequence[Matcher], limit: int | None) -> dict[Key, Labels]:
    read = limit
    while True:
        rows = selecting.find(person, matchers, read)
        found = {key_of(one.labels): one.labels for one in rows}
        if limit is None or read is None or len(found) >= limit or len(rows) < read:
            return found
        # Several series have one label set.
        read *= 2


def label_names(person: Person, choices: Choices) -> list[str]:
    """The names of all labels that there are, or that the series of `choices` have."""
    names = selecting.stored_names(person, choices)
    return sorted(names | {NAME, *DERIVED}) if names is not None else []


def label_values(person: Person, label: str, choices: Choices) -> list[str]:
    """The values that `label` has anywhere, or among the series of `choices`."""
    if choices:
        return sorted(selecting.values_of(person, label, choices))
    return sorted(selecting.all_names(person) if label == NAME else selecting.all_values(person, label))


def metadata(person: Person, metric: str) -> dict[str, list[dict[str, str]]]:
    """{name: [{type, help, unit}]} of each metric: what its first series says."""
    names = selecting.all_names(person)
    wanted = sorted(names & {metric} if metric else names)
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT wanted.name, first.metric_type, first.metric_unit FROM unnest(%s::text[]) AS wanted (name)
               CROSS JOIN LATERAL (SELECT metric_type, metric_unit FROM metric_series
                                   WHERE metric_name = wanted.name LIMIT 1) AS first""",
            [wanted],
        )
        return {name: [{"type": kind, "help": "", "unit": unit}] for name, kind, unit in cursor.fetchall()}
