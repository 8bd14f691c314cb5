"""Matchers as SQL: which series a person's query means, what label values there are. All of it bounded.

Names come from the index by skipping from one to the next; equal labels from the index on labels; what is derived from
an asset by way of the assets. Other conditions are checked on the series of a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import DataError, OperationalError, connection, transaction
from django.db.models import BooleanField, Func, QuerySet, TextField
from django.db.models.expressions import Expression, RawSQL
from psycopg import errors
from psycopg.types.json import Jsonb

from assets.metrics.identity import COLLECTION_METHODS
from assets.metrics.promql.lexing import BadQuery
from assets.metrics.promql.naming import Origin, labels_of
from assets.metrics.promql.ranges import TooMuch
from assets.metrics.promql.syntax import NAME, Matcher
from assets.metrics.promql.vectors import Labels
from assets.metrics.samples import Series
from assets.models import MetricSeries
from wedsync_monitor import policy
from wedsync_monitor.policy import Person, Verb

_STORED = '"metric_series"."metric_labels"'
_ASSET = '"infrastructure_assets"'
_DERIVED = {
    "asset_type": f"{_ASSET}.asset_type",
    "environment": f"{_ASSET}.environment",
    "host": f"{_ASSET}.asset_name",
    "instance": f"{_ASSET}.asset_name",
    "job": '"metric_series".collection_method',
}
_Sql = tuple[str, list[Any]]
_OPERATORS = {"=": "=", "!=": "<>", "=~": "~", "!~": "!~"}
# Every name once, by way of the index: its cost grows with the names and not with the rows.
_SKIPPING = """WITH RECURSIVE known (name) AS (
                   (SELECT {column} FROM {table} ORDER BY {column} LIMIT 1)
                   UNION ALL
                   SELECT (SELECT {column} FROM {table} WHERE {column} > known.name ORDER BY {column} LIMIT 1)
                   FROM known WHERE known.name IS NOT NULL)
               SELECT name FROM known WHERE name IS NOT NULL"""
_NAMES = _SKIPPING.format(column="metric_name", table="metric_series")


class TimedOut(Exception):
    """The query took longer than a request may take."""


@dataclass(frozen=True)
class Found:
    """A series and its labels in PromQL."""

    series: Series
    labels: Labels


@contextmanager
def bounded() -> Iterator[None]:
    """SQL that ends after QUERY_TIMEOUT_SECONDS. Raises TimedOut, and BadQuery where a regular expression is none."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {int(settings.QUERY_TIMEOUT_SECONDS * 1000)}")
            yield
    except DataError as error:
        if isinstance(error.__cause__, errors.InvalidRegularExpression):
            raise BadQuery(f"invalid regular expression: {error.__cause__.diag.message_primary}") from error
        raise
    except OperationalError as error:
        if isinstance(error.__cause__, errors.QueryCanceled):
            raise TimedOut(f"the query took longer than {settings.QUERY_TIMEOUT_SECONDS} s") from error
        raise


def find(person: Person, matchers: Sequence[Matcher]) -> list[Found]:
    """The series that `person` may read and all of `matchers` fit. Raises TooMuch."""
    most = settings.QUERY_MAX_SERIES
    _refuse_all_series(matchers)
    conditions = [*map(_sql, matchers), _readable(person)]
    with connection.cursor() as cursor:
        # Django would need as long to write this as PostgreSQL to answer it.
        cursor.execute(
            f"""SELECT asset_id, "metric_series".id, metric_name, metric_type, metric_unit, metric_labels::text,
                       collection_method, {_ASSET}.asset_name, {_ASSET}.asset_type, {_ASSET}.environment
                FROM metric_series JOIN {_ASSET} ON {_ASSET}.id = asset_id
                WHERE {" AND ".join(f"({sql})" for sql, _ in conditions)} LIMIT %s""",
            [*(value for _, parameters in conditions for value in parameters), most + 1],
        )
        found = cursor.fetchall()
    if len(found) > most:
        raise TooMuch(f"the selector finds more than {most} series; add matchers")
    return [_found(row) for row in found]


def _readable(person: Person) -> _Sql:
    """Which series `person` may read."""
    if policy.granted(person, Verb.READ, "metrics"):
        return "true", []
    rows = policy.permitted(person, Verb.READ, "metrics", MetricSeries.objects.all()).values("id")
    try:
        sql, parameters = rows.query.sql_with_params()
    except EmptyResultSet:
        return "false", []
    return f'"metric_series".id IN ({sql})', list(parameters)


def _refuse_all_series(matchers: Iterable[Matcher]) -> None:
    """Raises TooMuch where no index answers any of the matchers, and all series are more than a query may find."""
    if any(_is_indexed(matcher) for matcher in matchers):
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = 'metric_series'::regclass")
        (series,) = cursor.fetchone()
    if series > settings.QUERY_MAX_SERIES:
        raise TooMuch(
            "the selector would look through all series; "
            'add a metric name, an asset, or a label with its value, like {job="node"}'
        )


def _found(row: tuple[Any, ...]) -> Found:
    asset_id, series_id, name, kind, unit, text, method, asset_name, asset_type, environment = row
    stored: dict[str, str] = msgspec.json.decode(text)
    origin = Origin(asset_name, asset_type, environment, method)
    return Found(Series(series_id, asset_id, name, kind, unit, stored), labels_of(name, stored, origin))


def values_of(person: Person, label: str, choices: Iterable[Sequence[Matcher]]) -> set[str]:
    """The values that `label` has among the series of any of `choices`."""
    found: set[str] = set()
    most = settings.QUERY_MAX_SERIES
    for matchers in choices:
        if matchers:
            _refuse_all_series(matchers)
        value = RawSQL(*_text(label), output_field=TextField())  # type: ignore[arg-type]  # noqa: S611
        rows = _rows(person, matchers).annotate(value=value).exclude(value="").values_list("value", flat=True)
        found.update(rows.distinct()[:most])
    return found


def all_names(person: Person) -> set[str]:
    """Every metric name that `person` may read."""
    if not policy.granted(person, Verb.READ, "metrics"):
        return values_of(person, NAME, [()])
    return _column(f"{_NAMES} LIMIT %(most)s", {"most": settings.QUERY_MAX_SERIES})


def stored_names(person: Person, choices: Sequence[Sequence[Matcher]]) -> set[str] | None:
    """The names of the labels that the series of any of `choices` (or any at all) were sent with; None where there are
    no such series."""
    if not choices and policy.granted(person, Verb.READ, "metrics"):
        return _column(_SKIPPING.format(column="name", table="metric_label"), {}) or None
    found: set[str] = set()
    any_at_all = False
    for matchers in choices or [()]:
        if matchers:
            _refuse_all_series(matchers)
        rows = _rows(person, matchers)
        any_at_all |= rows.exists()
        names = rows.annotate(label=_Keys("metric_labels")).values_list("label", flat=True)
        found.update(names.distinct()[: settings.QUERY_MAX_SERIES])
    return found if any_at_all else None


class _Keys(Func):
    function, set_returning, output_field = "jsonb_object_keys", True, TextField()


def all_values(person: Person, label: str) -> set[str]:
    """The values that `label` has among all series that `person` may read."""
    if not policy.granted(person, Verb.READ, "metrics"):
        return values_of(person, label, [()])
    column = _DERIVED.get(label, "").removeprefix(f"{_ASSET}.") if label != "job" else ""
    of_assets = f"""UNION SELECT {column or "asset_name"} FROM infrastructure_assets asset
                    WHERE EXISTS (SELECT FROM metric_series WHERE asset_id = asset.id)"""
    stored = "SELECT value FROM metric_label WHERE name = %(label)s AND value <> '' AND name <> 'asset'"
    wanted = f"{stored} {of_assets if column or label == 'asset' else ''} LIMIT %(most)s"
    return _column(wanted, {"label": label, "most": settings.QUERY_MAX_SERIES})


def _column(sql: str, parameters: dict[str, Any]) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return {value for (value,) in cursor.fetchall()}


def _rows(person: Person, matchers: Iterable[Matcher]) -> QuerySet[MetricSeries]:
    rows = policy.permitted(person, Verb.READ, "metrics", MetricSeries.objects.select_related("asset"))
    # The join is there in any case, so that conditions may name the asset.
    return rows.filter(asset__asset_name__isnull=False).filter(*map(_condition, matchers))


def _condition(matcher: Matcher) -> Expression:
    sql, parameters = _sql(matcher)
    return RawSQL(sql, parameters, output_field=BooleanField())  # type: ignore[arg-type]  # noqa: S611


def _sql(matcher: Matcher) -> _Sql:
    return _equal(matcher) or _compared(matcher)


def _text(label: str) -> _Sql:
    """A label's value; empty where a series does not have it."""
    if label == NAME:
        return '"metric_series".metric_name', []
    if label == "asset":
        return f"{_ASSET}.asset_name", []
    derived = _DERIVED.get(label, "''")
    return f"coalesce(nullif({_STORED} ->> %s, ''), {derived})", [label]


def _compared(matcher: Matcher) -> _Sql:
    value = anchored(matcher.value) if "~" in matcher.operator else matcher.value
    if matcher.label == NAME and matcher.operator == "=~":
        return f'"metric_series".metric_name = ANY(ARRAY(SELECT name FROM ({_NAMES}) AS all_names WHERE name ~ %s))', [
            value
        ]
    sql, parameters = _text(matcher.label)
    return f"{sql} {_OPERATORS[matcher.operator]} %s", [*parameters, value]


def _equal(matcher: Matcher) -> _Sql | None:
    """Conditions that an index answers; None where there is no such form."""
    label, value = matcher.label, matcher.value
    if label == "asset" and matcher.operator in ("=", "=~"):
        named = f"SELECT id FROM {_ASSET} WHERE asset_name {_OPERATORS[matcher.operator]} %s"
        wanted = value if matcher.operator == "=" else anchored(value)
        return f'"metric_series".asset_id = ANY(ARRAY({named}))', [wanted]
    values = _values(matcher)
    if not values:
        return None
    if label == NAME:
        return '"metric_series".metric_name = ANY(%s)', [values]
    stored, held = f"{_STORED} @> ANY(%s)", [Jsonb({label: one}) for one in values]
    if label not in _DERIVED or (label == "job" and not set(values) & set(COLLECTION_METHODS)):
        return stored, [held]
    if label == "job":
        derived = f"{_DERIVED[label]} = ANY(%s)"
    else:
        derived = f'"metric_series".asset_id = ANY(ARRAY(SELECT id FROM {_ASSET} WHERE {_DERIVED[label]} = ANY(%s)))'
    unnamed = f"coalesce({_STORED} ->> %s, '') = ''"
    return f"({stored} OR ({derived} AND {unnamed}))", [held, values, label]


# Texts with | between them, in which only what stands behind a backslash is a character of patterns.
_PLAIN = re.compile(r"(?:[^\\.+*?()\[\]{}^$]|\\[^\w\s])+")


def _values(matcher: Matcher) -> list[str]:
    """The values that fit, where the matcher says which: by itself, or as the pattern `a|b|c` of a dashboard."""
    if matcher.operator == "=~" and _PLAIN.fullmatch(matcher.value) and "\\|" not in matcher.value:
        values = re.sub(r"\\(.)", r"\1", matcher.value).split("|")
    else:
        values = [matcher.value] if matcher.operator == "=" else []
    # What a label must not have is found by no index.
    return values if all(values) else []


def _is_indexed(matcher: Matcher) -> bool:
    if matcher.label == NAME or matcher.label == "asset":
        return matcher.operator in ("=", "=~")
    values = _values(matcher)
    return bool(values) and not (matcher.label == "job" and set(values) & set(COLLECTION_METHODS))


def match_texts(pattern: str, texts: Sequence[str]) -> list[tuple[str, ...] | None]:
    """The groups of each text that the whole of `pattern` fits, group 0 being all of it. By PostgreSQL, so that one
    kind of regular expressions is spoken here and none runs without end."""
    if not texts:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT regexp_match(one.text, %s) FROM unnest(%s::text[]) WITH ORDINALITY AS one (text, place)
               ORDER BY one.place""",
            [anchored(pattern, captured=True), list(texts)],
        )
        return [None if groups is None else tuple(part or "" for part in groups) for (groups,) in cursor.fetchall()]


_FLAGS = re.compile(r"\(\?([ims]+)\)")
_ESCAPES = {"b": r"\y", "B": r"\Y", "z": r"\Z", "pL": "[[:alpha:]]"}


def anchored(pattern: str, captured: bool = False) -> str:
    """A regular expression of RE2 as PostgreSQL writes it, to fit a text from beginning to end."""
    flags = ""
    if leading := _FLAGS.match(pattern):
        flags = "(?i)" if "i" in leading[1] else ""
        pattern = pattern[leading.end() :]
    translated = re.sub(r"\\(pL|.)", lambda found: _ESCAPES.get(found[1], found[0]), pattern, flags=re.DOTALL)
    return f"{flags}^{'(' if captured else '(?:'}{translated})$"
