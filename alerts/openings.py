"""The alerts that began in a span of time as arrays: read by one statement, and all that analytics need of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from django.core.exceptions import EmptyResultSet
from django.db.models import QuerySet
from numpy.typing import NDArray

from alerts.models import AlertInstance, AlertStatus, ResolutionType, Severity
from assets.metrics.frames import COPY_HEADER, COPY_TRAILER
from assets.metrics.query import copy_out
from assets.spans import Span

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# PostgreSQL counts from 2000; its '-infinity' stands for what has not been.
_POSTGRES_EPOCH = (datetime(2000, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND
_NEVER = np.iinfo(np.int64).min
_FLAGS = ("critical", "resolved", "by_itself", "by_hand", "false", "escalated")
_COLUMNS = (
    "alert_rule_id", "asset_id", "first_triggered_at", "acknowledged_at", "resolved_at",
    "severity", "status", "resolution_type", "false_positive", "escalation_level",
)  # fmt: skip
_TYPES = {"rule": "V16", "asset": "V16", "began": ">i8", "acknowledged": ">i8", "resolved": ">i8", "flags": ">i2"}
NO_ASSET = UUID(int=0)
# One row of arrays without nulls: a row for each alert would be handed over one by one. OFFSET 0 keeps the aggregates
# in one process: arrays that workers make and hand over take twice as long.
_SELECT = f"""
    SELECT array_agg(rule), array_agg(coalesce(asset, '{NO_ASSET}')), array_agg(began),
           array_agg(coalesce(acknowledged, '-infinity')), array_agg(coalesce(resolved, '-infinity')),
           array_agg(((severity = '{Severity.CRITICAL}')::int + 2 * (status = '{AlertStatus.RESOLVED}')::int
                      + 4 * coalesce(ended = '{ResolutionType.AUTO}', false)::int
                      + 8 * coalesce(ended = '{ResolutionType.MANUAL}', false)::int
                      + 16 * wrong::int + 32 * (level > 0)::int)::int2)
    FROM ({{own}} OFFSET 0) AS opened(rule, asset, began, acknowledged, resolved, severity, status, ended, wrong, level)
    HAVING count(*) > 0"""
# Before the values of an array in PostgreSQL's binary form: dimensions, flags, type, length and lower bound.
_ARRAY_HEAD = 5 * 4


@dataclass(frozen=True)
class Groups:
    """Which of `ids`, in their order, each alert has: its place among them."""

    ids: Sequence[UUID]
    places: Ints

    def count(self, mask: Mask | None = None) -> Ints:
        """How many alerts have each id; of those in `mask` where given."""
        return np.bincount(self.places if mask is None else self.places[mask], minlength=len(self.ids))


@dataclass(frozen=True)
class Openings:
    """`began`: µs since 1970. `waited` (until it was acknowledged) and `lasted`: µs, where the mask of that name says
    that it was. An alert on no asset has the id NO_ASSET."""

    rules: Groups
    assets: Groups
    began: Ints
    waited: Ints
    lasted: Ints
    acknowledged: Mask
    resolved: Mask
    critical: Mask
    by_itself: Mask
    by_hand: Mask
    false: Mask
    escalated: Mask

    def __len__(self) -> int:
        return len(self.began)


def microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


def moment(microseconds: int) -> datetime:
    return EPOCH + microseconds * MICROSECOND


def begun(rows: QuerySet[AlertInstance], span: Span) -> QuerySet[AlertInstance]:
    """Those of `rows` that began in `span` and came to be more than pending."""
    told = rows.order_by().exclude(status=AlertStatus.PENDING)
    return told.filter(first_triggered_at__gt=span.start, first_triggered_at__lte=span.end)


def read(rows: QuerySet[AlertInstance], span: Span) -> Openings:
    """Those of `rows` that began in `span`, in no order."""
    try:
        own, given = begun(rows, span).values_list(*_COLUMNS).query.sql_with_params()
    except EmptyResultSet:
        return _of(_columns(b""))
    return _of(_columns(copy_out(_SELECT.format(own=own), given)[len(COPY_HEADER) : -len(COPY_TRAILER)]))


def _columns(row: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of the one row: the number of its fields, and each field after its length."""
    found, place = {}, 2
    for name, kind in _TYPES.items():
        cell = np.dtype([("length", ">i4"), ("value", kind)])
        length = int.from_bytes(row[place : place + 4], "big")
        number = (length - _ARRAY_HEAD) // cell.itemsize if row else 0
        found[name] = (
            np.frombuffer(row, cell, number, place + 4 + _ARRAY_HEAD)["value"] if number else np.empty(0, kind)
        )
        place += 4 + length
    return found


def _of(table: dict[str, NDArray[Any]]) -> Openings:
    began, acknowledged, resolved = (table[name].astype(np.int64) for name in ("began", "acknowledged", "resolved"))
    flags = table["flags"].astype(np.int64)
    is_set = {name: (flags >> place & 1).astype(bool) for place, name in enumerate(_FLAGS)}
    return Openings(
        _grouped(table["rule"]),
        _grouped(table["asset"]),
        began + _POSTGRES_EPOCH,
        acknowledged - began,
        resolved - began,
        acknowledged != _NEVER,
        **is_set,
    )


def _grouped(column: NDArray[Any]) -> Groups:
    _, first, places = np.unique(np.ascontiguousarray(column).view("S16"), return_index=True, return_inverse=True)
    return Groups([UUID(bytes=bytes(one)) for one in column[first]], places.astype(np.int64))
