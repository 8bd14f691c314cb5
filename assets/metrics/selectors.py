"""Which series are meant: by asset, environment, type, tag, metric name and labels; as SQL on `metric_series`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from assets.metrics.samples import Series

_SQL_OPERATORS = {"=": "=", "!=": "<>", "=~": "~", "!~": "!~"}


@dataclass(frozen=True)
class Matcher:
    """A condition on one label, which is as the empty text where a series does not have it. Regular expressions are
    PostgreSQL's and fit the whole value. Raises ValueError for another operator."""

    label: str
    operator: Literal["=", "!=", "=~", "!~"]
    value: str

    def __post_init__(self) -> None:
        if self.operator not in _SQL_OPERATORS:
            raise ValueError(f"no matcher is written {self.operator!r}; send one of: {', '.join(_SQL_OPERATORS)}")


@dataclass(frozen=True)
class Selector:
    """Which series: all conditions hold; an empty part selects all, of a tuple any one is enough.

    Other labels of a series than those of `labels` and `matchers` do not matter. Series that are named by their ids
    need the ids of their assets too (`of_series`).
    """

    metric_names: tuple[str, ...] = ()
    asset_ids: tuple[UUID, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    series_ids: tuple[int, ...] = ()
    environments: tuple[str, ...] = ()
    asset_types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    matchers: tuple[Matcher, ...] = ()

    def sql(self) -> tuple[str, dict[str, Any]]:
        """A condition on `metric_series` and its parameters."""
        parts: list[str] = ["true"]
        parameters: dict[str, Any] = {}
        for column, name in _COLUMNS.items():
            if wanted := getattr(self, name):
                parts.append(f"{column} = ANY(%({name})s)")
                parameters[name] = list(wanted)
        if assets := [condition for name, condition in _OF_ASSETS.items() if getattr(self, name)]:
            parts.append(f"asset_id IN (SELECT id FROM infrastructure_assets WHERE {' AND '.join(assets)})")
            parameters |= {name: list(getattr(self, name)) for name in _OF_ASSETS}
        equal = dict(self.labels)
        for number, one in enumerate(self.matchers):
            if one.operator == "=" and one.value and equal.setdefault(one.label, one.value) == one.value:
                continue  # An index finds what holds a label.
            parts.append(
                f"coalesce(metric_labels ->> %(label_{number})s, '') {_SQL_OPERATORS[one.operator]} %(value_{number})s"
            )
            regular = "~" in one.operator
            parameters |= {f"label_{number}": one.label, f"value_{number}": _whole(one.value) if regular else one.value}
        if equal:
            parts.append("metric_labels @> %(labels)s")
            parameters["labels"] = Jsonb(equal)
        return " AND ".join(parts), parameters


_COLUMNS = {"metric_name": "metric_names", "asset_id": "asset_ids", "id": "series_ids"}
_OF_ASSETS = {
    "environments": "environment = ANY(%(environments)s)",
    "asset_types": "asset_type = ANY(%(asset_types)s)",
    "tags": "tags ?| %(tags)s",
}


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"


def of_series(series: Iterable[Series]) -> Selector:
    """Just these."""
    known = list(series)
    return Selector(asset_ids=tuple({one.asset_id for one in known}), series_ids=tuple(one.id for one in known))
