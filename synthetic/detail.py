"""One check as its page shows it: the verdict at each location and why, response times, phases, certificates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from assets.spans import Span
from synthetic import listing, results, standing
from synthetic.models import CheckPlace, SyntheticCheck, SyntheticCheckResult
from synthetic.verdict import State

PHASES = (
    ("dns_lookup_ms", "DNS lookup", "dns"),
    ("connection_ms", "Connect", "connect"),
    ("tls_handshake_ms", "TLS handshake", "tls"),
    ("first_byte_ms", "First byte", "first-byte"),
    ("download_ms", "Download", "download"),
)
LAST = 50
_POINTS = 300
_TIMES = """
    SELECT coalesce(location, 'unknown'), date_bin(%s * interval '1 second', check_timestamp, %s) AS bin,
        avg(response_time_ms)
    FROM synthetic_check_results
    WHERE check_id = %s AND check_timestamp > %s AND check_timestamp <= %s
        AND is_counted AND status IN ('success', 'failure') AND response_time_ms IS NOT NULL
    GROUP BY 1, 2 ORDER BY 1, 2"""


@dataclass(frozen=True)
class Phase:
    """One phase of a result, in ms; where its bar begins and how wide it is, in percent of the whole."""

    label: str
    colour: str
    took_ms: float
    start: float
    width: float


@dataclass(frozen=True)
class Place:
    """How a check stands at one location, and why."""

    location: str
    state: str
    since: datetime | None
    reason: str
    last_result_at: datetime | None
    missed: int

    @property
    def tone(self) -> str:
        return listing.TONES.get(self.state, "tone-none")


def waterfall(timing: Mapping[str, Any]) -> list[Phase]:
    """The phases one after the other; none where nothing was timed."""
    spent = [(label, colour, _number(timing.get(name))) for name, label, colour in PHASES]
    total, start, phases = sum(took for _, _, took in spent), 0.0, []
    for label, colour, took in spent if total else ():
        phases.append(Phase(label, colour, took, round(100 * start / total, 2), round(100 * took / total, 2)))
        start += took
    return phases


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def last_results(check: SyntheticCheck) -> list[SyntheticCheckResult]:
    return list(standing.results_of(check).defer("response_headers", "response_body_sample")[:LAST])


def places_of(
    check: SyntheticCheck, found: Sequence[CheckPlace], seen: Sequence[SyntheticCheckResult], now: datetime
) -> list[Place]:
    """The locations of a check; `seen` are its last results, the newest first."""
    newest = {one.location: one for one in reversed(seen)}
    return [
        Place(
            place.location,
            str(results.standing_at(check, place, now)) if check.is_enabled else "disabled",
            place.state_since,
            reason_of(check, place, newest.get(place.location), now),
            place.last_result_at,
            place.missed,
        )
        for place in found
    ]


def reason_of(check: SyntheticCheck, place: CheckPlace, last: SyntheticCheckResult | None, now: datetime) -> str:
    """Why the location has the verdict that it has."""
    if not check.is_enabled:
        return "the check is disabled"
    said = f": {last.error_message}" if last is not None and last.error_message else ""
    if last is not None and not last.is_counted:
        return f"the last result says nothing of the target{said}"
    if place.last_result_at is None:
        return "it has not run here yet"
    state = results.standing_at(check, place, now)
    if state is State.UNKNOWN:
        return "its last result is too old to count"
    if place.failures_in_a_row:
        return f"{_in_a_row(place.failures_in_a_row, check.failure_threshold, 'failure', state is State.UP)}{said}"
    return _in_a_row(place.successes_in_a_row, check.success_threshold, "success", state is State.DOWN)


def _in_a_row(number: int, needed: int, kind: str, waits: bool) -> str:
    plural = f"{kind}es" if kind == "success" else f"{kind}s"
    counted = f"{number} {kind if number == 1 else plural} in a row"
    return f"{counted} of {needed} that it takes" if waits else counted


def chart_of(check: SyntheticCheck, span: Span) -> dict[str, Any]:
    """Mean response times by location, as charts take them; at most 300 points a location."""
    width = max((span.end - span.start) / _POINTS, timedelta(seconds=1))
    points: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_TIMES, [width.total_seconds(), span.start, check.pk, span.start, span.end])
        for location, at, mean in cursor.fetchall():
            points[location].append((_ms(at + width / 2), round(float(mean), 1)))
    drawn = [{"label": location, "unit": "ms", "points": found} for location, found in points.items()]
    return {"span": [_ms(span.start), _ms(span.end)], "series": drawn}


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


@dataclass(frozen=True)
class Certificate:
    """One certificate of a chain, and the days that are left of it."""

    subject: str
    issuer: str
    not_after: datetime
    days_left: float

    @property
    def tone(self) -> str:
        return tone_of_days(self.days_left)


def tone_of_days(days: float) -> str:
    return "tone-bad" if days < 7 else "tone-warn" if days < 30 else "tone-good"


def chain_of(certificate: Any, now: datetime) -> list[Certificate]:
    """The chain as it was served, the leaf first."""
    chain = certificate.get("chain", []) if isinstance(certificate, dict) else []
    return [_certificate(one, now) for one in chain]


def _certificate(one: Mapping[str, str], now: datetime) -> Certificate:
    ends = datetime.fromisoformat(one["not_after"])
    return Certificate(one["subject"], one["issuer"], ends, round((ends - now).total_seconds() / 86400, 1))
