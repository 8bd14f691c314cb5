"""The wedding platform that is demonstrated: its hosts, how busy they are, and what goes wrong. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

MARK = "data:demonstration"
PREFIX = "demo-"
DAYS = 30
STEP = timedelta(minutes=5)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Host:
    """One asset: `share` is how much of the platform's load it carries, `disk` its fill and growth a day."""

    name: str
    kind: str
    category: str
    environment: str
    share: float
    disk: tuple[float, float]
    parent: str = ""
    needs: tuple[str, ...] = ()
    provider: str | None = "aws"
    location: str = "eu-west-1a"
    team: str = "platform"
    is_critical: bool = False


HOSTS = (
    Host("demo-edge-lb", "load_balancer", "network", "production", 0.45, (31, 0.05), is_critical=True),
    Host("demo-booking-db", "database", "storage", "production", 0.75, (52, 0.55), team="data", is_critical=True),
    Host("demo-photo-store", "database", "storage", "production", 0.5, (69, 0.5), team="data", location="eu-west-1b"),
    Host("demo-web-01", "server", "compute", "production", 0.95, (44, 0.2), "demo-edge-lb", ("demo-booking-db",),
         is_critical=True),
    Host("demo-web-02", "server", "compute", "production", 0.9, (43, 0.2), "demo-edge-lb", ("demo-booking-db",),
         location="eu-west-1b", is_critical=True),
    Host("demo-rsvp-service", "service", "application", "production", 0.8, (38, 0.1), "demo-web-01",
         ("demo-booking-db",), team="guests", is_critical=True),
    Host("demo-payments-api", "service", "application", "production", 0.6, (35, 0.1), "demo-web-02",
         ("demo-booking-db",), team="payments", is_critical=True),
    Host("demo-seating-planner", "container", "application", "production", 0.65, (41, 0.15), "demo-web-02",
         ("demo-booking-db",), team="guests"),
    Host("demo-staging-db", "database", "storage", "staging", 0.25, (36, 0.1), provider="gcp", location="europe-west2"),
    Host("demo-staging-web", "server", "compute", "staging", 0.3, (48, 0.1), needs=("demo-staging-db",),
         provider="gcp", location="europe-west2"),
    Host("demo-dev-box", "container", "compute", "development", 0.15, (58, 0.3), provider="on-premises",
         location="office"),
)  # fmt: skip


def load(moments: Sequence[datetime]) -> Floats:
    """The platform's load from 0 to 1: busy late mornings and evenings, and weddings on Saturday afternoons."""
    hour = np.array([moment.hour + moment.minute / 60 for moment in moments])
    weekday = np.array([moment.weekday() for moment in moments])
    day = 0.18 + 0.3 * np.exp(-(((hour - 19.5) / 3.5) ** 2)) + 0.16 * np.exp(-(((hour - 11) / 3) ** 2))
    weddings = 0.15 + 0.38 * np.exp(-(((hour - 17) / 4) ** 2))
    return np.where(weekday == 5, day + weddings, np.where(np.isin(weekday, (4, 6)), day * 1.15, day))


Shape = Callable[[Floats, Floats], Floats]
# name: unit, and its value from the host's load and noise of mean 0 and deviation 1
_COMPUTE: dict[str, tuple[str, Shape]] = {
    "cpu_usage_percent": ("percent", lambda busy, noise: np.clip(7 + 74 * busy + 2.5 * noise, 1, 86)),
    "memory_usage_percent": ("percent", lambda busy, noise: np.clip(46 + 27 * busy + noise, 5, 78)),
    "network_io_mbps": ("mbps", lambda busy, noise: np.clip(4 + 180 * busy + 6 * noise, 0.1, None)),
}
_REQUESTS: dict[str, tuple[str, Shape]] = {
    "response_time_ms": ("ms", lambda busy, noise: np.clip(85 + 190 * busy + 11 * noise, 20, 420)),
    "error_rate_percent": ("percent", lambda busy, noise: np.clip(0.12 + 0.3 * busy + 0.06 * noise, 0, 0.9)),
    "request_rate_per_second": ("requests/sec", lambda busy, noise: np.clip(420 * busy + 8 * noise, 0, None)),
}
_WEDDINGS: dict[str, tuple[str, Shape]] = {
    "weddings_under_way": ("count", lambda busy, noise: np.clip(np.round(90 * np.maximum(busy - 0.3, 0)), 0, None)),
    "guests_online": ("count", lambda busy, noise: np.clip(np.round(5200 * busy**1.5 + 40 * noise), 0, None)),
    "booking_success_percent": ("percent", lambda busy, noise: np.clip(99.4 - 0.5 * busy + 0.15 * noise, 0, 100)),
}


def metrics_of(host: Host) -> Mapping[str, tuple[str, Shape]]:
    if host.kind == "database":
        return _COMPUTE
    return _COMPUTE | _REQUESTS | (_WEDDINGS if host.name == "demo-rsvp-service" else {})


@dataclass(frozen=True)
class Incident:
    """Trouble on one host: its metric is at `value` from `began` to `ended` (it goes on where that is None)."""

    host: str
    rule: str
    metric: str
    value: float
    began: datetime
    ended: datetime | None = None
    # What became of it: resolved by whom, or the state it is in.
    outcome: str = "auto"
    acknowledged_after: timedelta | None = None
    note: str = ""
    remediation: str = ""


# days before, host, rule, metric, value, hour, minutes, outcome, minutes to the acknowledgement, note, remediation
_WEEKDAYS = (
    (26, "demo-photo-store", "Disk nearly full", "disk_usage_percent", 92.6, 9.0, 170, "manual", 12,
     "Moved last year's albums to cold storage.", ""),
    (22, "demo-seating-planner", "High memory usage", "memory_usage_percent", 94.8, 13.5, 45, "manual", 5,
     "A leak in the table layout; the container was restarted.", "demo: restart the seating planner"),
    (17, "demo-payments-api", "High error rate", "error_rate_percent", 8.4, 12.5, 40, "manual", 3,
     "The payment provider had an outage; deposits were queued and went through afterwards.", "demo: queue payments"),
    (12, "demo-booking-db", "High memory usage", "memory_usage_percent", 94.1, 3.0, 55, "auto", None, "", ""),
    (8, "demo-staging-web", "High CPU usage", "cpu_usage_percent", 97.2, 10.0, 90, "auto", None, "", ""),
    (5, "demo-dev-box", "High CPU usage", "cpu_usage_percent", 98.0, 15.0, 240, "timeout", None, "", ""),
    (2, "demo-web-02", "High CPU usage", "cpu_usage_percent", 93.7, 19.5, 25, "auto", 6,
     "A travel magazine linked to us.", "demo: add a web server"),
)  # fmt: skip
_SATURDAYS = (
    ("demo-web-01", "High CPU usage", "cpu_usage_percent", 95.6, 17.5, 35, "auto", None, "", "demo: add a web server"),
    ("demo-rsvp-service", "Slow responses", "response_time_ms", 1480, 20.25, 25, "manual", 4,
     "Guests upload photos after dinner; the RSVP service was scaled out.", "demo: restart the RSVP service"),
)  # fmt: skip
# host, rule, metric, value, minutes before, state, minutes to the acknowledgement, note
_NOW = (
    ("demo-photo-store", "Disk nearly full", "disk_usage_percent", 93.4, 95, "open", None, ""),
    ("demo-rsvp-service", "Slow responses", "response_time_ms", 1260, 48, "acknowledged", 6,
     "Looking at the slow guest list query."),
    ("demo-rsvp-service", "Bookings fail (demonstration)", "booking_success_percent", 95.1, 40, "open", None, ""),
    ("demo-staging-web", "High CPU usage", "cpu_usage_percent", 96.3, 55, "suppressed", None, ""),
    ("demo-seating-planner", "Memory creeps up (demonstration)", "memory_usage_percent", 83.5, 20, "pending", None, ""),
)  # fmt: skip


def incidents(began: datetime, days: int) -> list[Incident]:
    """What went wrong in the `days` before `began`, and what does since then."""
    found = [_going_on(row, began) for row in _NOW]
    for row in _WEEKDAYS:
        found.append(_past(row[1:], began - timedelta(days=row[0])))
    for ago in range(days + 1):
        day = began - timedelta(days=ago)
        if day.weekday() == 5:
            found += [_past(row, day) for row in _SATURDAYS]
    oldest = began - timedelta(days=days)
    kept = [one for one in found if one.began > oldest and (one.ended or began) <= began]
    return sorted(kept, key=lambda one: one.began)


def _going_on(row: tuple[str, str, str, float, int, str, int | None, str], began: datetime) -> Incident:
    host, rule, metric, value, minutes, state, acknowledged, note = row
    return Incident(host, rule, metric, value, began - timedelta(minutes=minutes), None, state, _delay(acknowledged),
                    note)  # fmt: skip


def _past(row: tuple[str, str, str, float, float, int, str, int | None, str, str], day: datetime) -> Incident:
    host, rule, metric, value, hour, minutes, outcome, acknowledged, note, remediation = row
    start = day.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(hours=hour)
    end = start + timedelta(minutes=minutes)
    return Incident(host, rule, metric, value, start, end, outcome, _delay(acknowledged), note, remediation)


def _delay(minutes: int | None) -> timedelta | None:
    return None if minutes is None else timedelta(minutes=minutes)


def grid(start: datetime, end: datetime, step: timedelta = STEP) -> list[datetime]:
    """The multiples of `step` in (start, end]."""
    seconds = step.total_seconds()
    first = int(start.timestamp() // seconds) + 1
    last = int(end.timestamp() // seconds)
    return [datetime.fromtimestamp(place * seconds, start.tzinfo) for place in range(first, last + 1)]


def values_of(
    host: Host, moments: Sequence[datetime], began: datetime, happened: Sequence[Incident], dice: np.random.Generator
) -> dict[tuple[str, str], Floats]:
    """What the host reports at `moments`, by metric and unit."""
    busy = load(moments) * host.share
    noise = dice.normal(0, 1, len(moments))
    found = {(name, unit): shape(busy, noise) for name, (unit, shape) in metrics_of(host).items()}
    age = np.array([(moment - began) / timedelta(days=1) for moment in moments])
    found["disk_usage_percent", "percent"] = np.clip(host.disk[0] + host.disk[1] * (DAYS + age) + 0.1 * noise, 0, 89)
    for one in happened:
        if one.host == host.name:
            during = np.array([one.began <= moment and (one.ended is None or moment < one.ended) for moment in moments])
            for place in found:
                if place[0] == one.metric:
                    found[place] = np.where(during, one.value + 0.003 * one.value * noise, found[place])
    return found
