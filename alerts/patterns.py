"""When alerts begin, and with which others: hours of the day, days of the week, rules that go together, storms.

- An hour of the day or a day of the week (UTC) is a pattern with at least FACTOR times its even share of openings.
- Two of the busiest rules go together where both began in the same TOGETHER, at least LEAST times, in at least half of
  the times of the rarer one, and FACTOR times as often as chance would have it.
- A storm is a run of STORM_ALERTS or more openings with no gap of more than STORM_GAP. Where so much begins that this
  is usual, the gap is a quarter of the mean distance of two openings.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from alerts.models import AlertRule
from alerts.openings import MICROSECOND, NO_ASSET, Openings, moment
from assets.spans import Span

FACTOR = 2.0
LEAST = 10
STORM_ALERTS = 10
STORM_GAP = timedelta(minutes=2)
TOGETHER = timedelta(minutes=5)
BUSIEST = 12
MOST = 10
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_DAYS = ("Thursdays", "Fridays", "Saturdays", "Sundays", "Mondays", "Tuesdays", "Wednesdays")


def of(recent: Openings) -> list[dict[str, Any]]:
    """The patterns of `recent` as the specification has them, the most frequent first.

    `frequency` is the number of alerts then (of rules that go together: of times), `impact_score` their share of all
    (of the times of the rarer rule), from 0 to 1.
    """
    found = _times(recent.began // (_HOUR // MICROSECOND)) + _companions(recent)
    return sorted(found, key=lambda one: -one["frequency"])


def _times(since_epoch: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Of the hours since 1970 in which alerts began."""
    hours = np.bincount(since_epoch % 24, minlength=24)
    # The epoch began on a Thursday.
    days = np.bincount(since_epoch // 24 % 7, minlength=7)
    found = [_time("time_of_day", f"from {hour:02}:00 to {hour:02}:59 UTC", hours, hour) for hour in range(24)]
    found += [_time("day_of_week", f"on {name} (UTC)", days, day) for day, name in enumerate(_DAYS)]
    return [one for one in found if one]


def _time(kind: str, when: str, counts: NDArray[np.int64], place: int) -> dict[str, Any] | None:
    number, total = int(counts[place]), int(counts.sum())
    if number < LEAST or number < FACTOR * total / len(counts):
        return None
    return {
        "pattern_type": kind,
        "description": f"{number} of {total} alerts began {when}.",
        "frequency": number,
        "impact_score": round(number / total, 4),
        "suggested_action": "Look for jobs, deployments or load that recur then.",
    }


def _companions(recent: Openings) -> list[dict[str, Any]]:
    busiest = np.sort(np.argsort(-recent.rules.count(), kind="stable")[:BUSIEST])
    chosen = np.isin(recent.rules.places, busiest)
    rules = np.searchsorted(busiest, recent.rules.places[chosen])
    slots, slot = np.unique(recent.began[chosen] // (TOGETHER // MICROSECOND), return_inverse=True)
    if not len(slots):
        return []
    began = np.zeros((len(busiest), len(slots)), dtype=np.float64)
    began[rules, slot] = 1
    # How many slots both rules of a pair began in; on the diagonal, each by itself.
    times = (began @ began.T).astype(np.int64)
    length = int(slots[-1] - slots[0]) + 1
    pairs = [pair for pair in combinations(range(len(busiest)), 2) if _go_together(times, *pair, length)]
    ids = {place: recent.rules.ids[busiest[place]] for pair in pairs for place in pair}
    names = dict(AlertRule.objects.filter(pk__in=ids.values()).values_list("pk", "rule_name")) if ids else {}
    return [
        _companion(
            names[ids[one]], names[ids[other]], int(times[one, other]), int(min(times[one, one], times[other, other]))
        )
        for one, other in pairs
        if ids[one] in names and ids[other] in names
    ]


def _go_together(times: NDArray[np.int64], one: int, other: int, length: int) -> bool:
    number, own, others = int(times[one, other]), int(times[one, one]), int(times[other, other])
    return number >= LEAST and number * 2 >= min(own, others) and number * length >= FACTOR * own * others


def _companion(one: str, other: str, number: int, rarer: int) -> dict[str, Any]:
    minutes = TOGETHER // timedelta(minutes=1)
    share = f"{100 * number / rarer:.0f} % of the times of the rarer one"
    return {
        "pattern_type": "co_occurrence",
        "description": f"{one} and {other} began in the same {minutes} minutes {number} times, {share}.",
        "frequency": number,
        "impact_score": round(number / rarer, 4),
        "suggested_action": "Look for one cause behind both; a composite rule or a dependency tells of it once.",
    }


def storms(recent: Openings, span: Span) -> list[dict[str, Any]]:
    """The largest storms of `recent`, which began in `span`, newest first."""
    gap = min(STORM_GAP, (span.end - span.start) / (4 * max(len(recent), 1))) // MICROSECOND
    order = np.argsort(recent.began, kind="stable")
    began = recent.began[order]
    firsts = np.flatnonzero(np.append(True, np.diff(began) > gap)[: len(began)])
    numbers = np.diff(np.append(firsts, len(began)))
    large = np.flatnonzero(numbers >= STORM_ALERTS)
    largest = large[np.lexsort((-began[firsts[large]], -numbers[large]))][:MOST]
    assets = recent.assets.places[order]
    runs = [slice(firsts[run], firsts[run] + numbers[run]) for run in sorted(largest.tolist(), reverse=True)]
    return [_storm(began[run], {recent.assets.ids[place] for place in assets[run].tolist()}) for run in runs]


def _storm(began: NDArray[np.int64], assets: set[UUID]) -> dict[str, Any]:
    return {
        "timestamp": f"{moment(int(began[0])):%Y-%m-%dT%H:%M:%SZ}",
        "duration_minutes": round(int(began[-1] - began[0]) * MICROSECOND / _MINUTE, 2),
        "alert_count": len(began),
        "affected_assets": len(assets - {NO_ASSET}),
    }
