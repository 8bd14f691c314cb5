"""The console's page on the system itself: what is wrong in words, who leads, its processes, and how its work goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from assets.spans import RANGES
from wedsync_monitor import leadership, policy, readiness
from wedsync_monitor.models import DeadMansSwitch, SystemProcess, SystemState
from wedsync_monitor.policy import Verb
from wedsync_monitor.selfmonitoring import limits, outlet
from wedsync_monitor.selfmonitoring.infrastructure import GONE_AFTER
from wedsync_monitor.selfmonitoring.measurements import Measurement
from wedsync_monitor.selfmonitoring.recording import ASSET
from wedsync_monitor.web import htmx
from wedsync_monitor.web.permissions import guarded

# An observation that is older says nothing of now.
STALE = timedelta(seconds=60)
LATELY = timedelta(hours=1)
CHARTS = (
    ("Samples committed", ("wedsync_ingest_samples_total",)),
    ("Samples refused", ("wedsync_ingest_refused_total",)),
    ("Requests with samples", ("wedsync_ingest_requests_total",)),
    ("Requests that wait for their commit", ("wedsync_ingest_commit_wait_seconds_total",)),
    ("Evaluation lag", ("wedsync_evaluation_lag_seconds",)),
    ("Last evaluations of all rules", ("wedsync_evaluation_seconds", "wedsync_evaluation_longest_seconds")),
    ("Oldest notification that waits", ("wedsync_delivery_oldest_seconds",)),
    ("Messages in queues", ("wedsync_queue_depth",)),
    ("Ticks that beat missed", ("wedsync_beat_missed_ticks_total",)),
    ("Round trip to database and broker", ("wedsync_database_latency_seconds", "wedsync_broker_latency_seconds")),
    ("Storage", ("wedsync_storage_bytes",)),
    ("Use of the disk", ("wedsync_disk_used_percent",)),
)
# Title, metric, its unit behind the number; the labels' values are added up.
NUMBERS = (
    ("Evaluation lag", "wedsync_evaluation_lag_seconds", " s"),
    ("Evaluation of all rules", "wedsync_evaluation_seconds", " s"),
    ("Messages in queues", "wedsync_queue_depth", ""),
    ("Notifications that wait", "wedsync_deliveries_waiting", ""),
    ("Given up in a day", "wedsync_deliveries_given_up", ""),
    ("Agents that are silent", "wedsync_agents_silent", ""),
    ("Hours that wait for compaction", "wedsync_compaction_backlog_hours", ""),
    ("Database", "wedsync_database_bytes", "bytes"),
)


@guarded("system", GET=Verb.READ)
def system(request: HttpRequest) -> HttpResponse:
    """Whether monitoring itself works."""
    now = timezone.now()
    last = outlet.last_observation()
    switches = list(DeadMansSwitch.objects.all())
    asked = request.GET.get("range", "1h")
    chosen = asked if asked in RANGES else "1h"
    context = {
        **htmx.frame_of(request),
        "wrong": what_is_wrong(last, switches, now),
        "observed_at": last.at,
        "leader": leadership.leader(),
        "gap": _gap(),
        "numbers": _numbers(last.measured),
        "processes": _processes(now),
        "switches": switches,
        "may_manage": policy.may(request.user, Verb.CHANGE, "system"),
        "charts": _charts(chosen),
        "ranges": list(RANGES),
        "range": chosen,
    }
    return htmx.respond(request, "console/system.html", "console/_system.html", context)


def what_is_wrong(last: outlet.Observation, switches: Iterable[DeadMansSwitch], now: datetime) -> list[str]:
    """A sentence for everything that does not work, the worst first."""
    found = [f"{text[:1].upper()}{text[1:]}." for text in readiness.problems()]
    if last.at is None or now - last.at > STALE:
        since = f"since {last.at:%Y-%m-%d %H:%M:%S} UTC" if last.at else "so far"
        found.append(f"The system has not observed itself {since}; what is shown is old.")
    found += limits.complaints(last.measured)
    return found + [text for switch in switches if switch.is_enabled and (text := _wrong_with(switch))]


def _wrong_with(switch: DeadMansSwitch) -> str:
    if switch.held_back_because:
        return f"The dead man's switch {switch.switch_name} is held back: {switch.held_back_because}."
    if switch.last_answer and not switch.last_arrived:
        return f"The last signal of the dead man's switch {switch.switch_name} did not arrive: {switch.last_answer}."
    return ""


def _gap() -> dict[str, Any] | None:
    """Beat's last gap: {since, until, missed}."""
    kept = SystemState.objects.filter(name=leadership.GAP_STATE).first()
    if kept is None:
        return None
    return {name: parse_datetime(kept.said[name]) for name in ("since", "until")} | {"missed": kept.said["missed"]}


def _numbers(measured: Sequence[Measurement]) -> list[tuple[str, str]]:
    shown = []
    for title, metric, unit in NUMBERS:
        values = [one.value for one in measured if one.name == metric]
        shown.append((title, _number(sum(values), unit) if values else "–"))
    return shown


def _number(value: float, unit: str) -> str:
    if unit == "bytes":
        return filesizeformat(value)
    return f"{intcomma(round(value))}{unit}" if value >= 10 or value == int(value) else f"{value:.2f}{unit}"


def _processes(now: datetime) -> list[dict[str, Any]]:
    """Those of the last hour. One that ended matters where no other of its kind lives."""
    rows = list(SystemProcess.objects.filter(seen_at__gt=now - LATELY).order_by("kind", "name")[:200])
    living = {one.kind for one in rows if now - one.seen_at < GONE_AFTER}
    return [{"process": one, "lives": now - one.seen_at < GONE_AFTER, "replaced": one.kind in living} for one in rows]


def _charts(chosen: str) -> list[dict[str, str]]:
    url = reverse("asset-chart", args=[ASSET])
    return [
        {"title": title, "url": f"{url}?{urlencode({'metric': metrics, 'range': chosen}, doseq=True)}"}
        for title, metrics in CHARTS
    ]
