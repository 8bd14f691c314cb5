"""Targets by their state, as lists filter and count them."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, Count, Q, QuerySet, TextField, Value, When

from assets.scraping.models import ScrapeJob, ScrapeTarget

STATES = ("up", "down", "unknown", "without asset", "vanished")
_CASES = (
    (Q(vanished_at__isnull=False), "vanished"),
    (Q(asset=None), "without asset"),
    (Q(is_up=None), "unknown"),
    (Q(is_up=True), "up"),
)


def in_state(rows: QuerySet[ScrapeTarget], state: str) -> QuerySet[ScrapeTarget]:
    """Those of `rows` whose `state` is this one."""
    cases = [When(condition, then=Value(name)) for condition, name in _CASES]
    decided = Case(*cases, default=Value("down"), output_field=TextField())
    return rows.alias(found_state=decided).filter(found_state=state)


def with_counts(rows: QuerySet[ScrapeJob]) -> QuerySet[Any]:
    """Jobs with the number of their targets that are there, and of those that were read the last time."""
    there = Q(targets__vanished_at=None)
    return rows.annotate(
        target_count=Count("targets", filter=there), up_count=Count("targets", filter=there & Q(targets__is_up=True))
    )
