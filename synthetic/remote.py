"""Locations that are agents of type synthetic: what an agent is to run, and what it reports.

An agent is the location of its own name. It schedules its checks by itself, so that it goes on while this server is
away; its results come with their own times, some of them late.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from django.conf import settings
from msgspec import Meta

from assets.models import AgentType, MonitoringAgent
from synthetic import places, results, scheduling, targets
from synthetic.models import CheckPlace, ProbeLocation
from synthetic.results import Result
from synthetic.targets import Secrets, Unusable
from wedsync_monitor.retention import SYNTHETIC_RESULT_DAYS

MAX_RESULTS = 500
AHEAD = timedelta(minutes=5)
_Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
_Text = Annotated[str, Meta(max_length=20_000)]


class NoLocation(Exception):
    """The agent is no location; the text says what to change."""


class Reported(msgspec.Struct, forbid_unknown_fields=True):
    """One result as an agent reports it: the columns that its probe knows, and what became of the run."""

    id: UUID
    check_id: UUID
    check_timestamp: Annotated[datetime, Meta(tz=True)]
    status: Literal["success", "failure", "timeout", "error"]
    response_time_ms: _Count | None = None
    status_code: Annotated[int, Meta(ge=100, le=599)] | None = None
    response_size_bytes: _Count | None = None
    error_message: _Text | None = None
    response_headers: dict[str, str] | None = None
    response_body_sample: _Text | None = None
    certificate_info: dict[str, Any] | None = None
    dns_info: dict[str, Any] | None = None
    network_info: dict[str, Any] = {}
    attempts: Annotated[int, Meta(ge=1, le=100)] = 1
    is_counted: bool = True
    missed: _Count = 0


class Report(msgspec.Struct, forbid_unknown_fields=True):
    """What an agent has seen, and whether it can reach anything."""

    results: Annotated[list[Reported], Meta(max_length=MAX_RESULTS)]
    is_cut_off: bool = False


def location_of(agent: MonitoringAgent) -> str:
    """Raises NoLocation."""
    if agent.agent_type != AgentType.SYNTHETIC:
        raise NoLocation(f"an agent of type {agent.agent_type} runs no checks; change its type to synthetic")
    if agent.agent_name == settings.PROBE_LOCATION:
        raise NoLocation(f"the server's own location is called {settings.PROBE_LOCATION}; give the agent another name")
    return agent.agent_name


def checks_of(agent: MonitoringAgent, now: datetime) -> dict[str, Any]:
    """The checks of the agent's location, with secrets opened for it, and a version by which it sees a change.

    Raises NoLocation. A check that cannot be used as it is stored comes with the reason in `error`.
    """
    location, known = location_of(agent), Secrets()
    places.arrange_new(now)
    ProbeLocation.objects.update_or_create(location_name=location, defaults={"seen_at": now})
    due = CheckPlace.objects.filter(location=location, next_run_at__isnull=False).select_related("synthetic_check")
    found = [_told(place, known) for place in due.order_by("synthetic_check")]
    version = hashlib.blake2b(msgspec.json.encode(found), digest_size=8).hexdigest()
    return {"version": version, "location": location, "checks": found}


def _told(place: CheckPlace, known: Secrets) -> dict[str, Any]:
    check = place.synthetic_check
    every = timedelta(seconds=check.check_frequency)
    said = {
        "id": str(check.pk),
        "check_type": check.check_type,
        "target_url": check.target_url or "",
        "target_host": check.target_host or "",
        "target_port": check.target_port,
        "expected_response": check.expected_response,
        "check_frequency": check.check_frequency,
        "offset_seconds": scheduling.offset_of(check.pk, place.location, every).total_seconds(),
        "timeout_seconds": check.timeout_seconds,
        "retry_attempts": check.retry_attempts,
    }
    try:
        probe = targets.probe_of(check)
        return said | {"check_config": msgspec.to_builtins(probe.config), "secrets": known.of(probe)}
    except Unusable as error:
        return said | {"check_config": {}, "secrets": {}, "error": str(error)}


def take_in(agent: MonitoringAgent, report: Report, now: datetime) -> tuple[int, list[dict[str, Any]]]:
    """Take in what an agent reports: how many results are kept, and which are not, with the reason.

    Raises NoLocation, and what results.take_in raises.
    """
    location = location_of(agent)
    refused = [
        {"index": place, "reason": why} for place, one in enumerate(report.results) if (why := _refusal(one, now))
    ]
    wrong = {one["index"] for one in refused}
    taken = [_result(one, location) for place, one in enumerate(report.results) if place not in wrong]
    accepted = results.take_in(taken, now)
    missed = Counter[UUID]()
    for one in report.results:
        missed[one.check_id] += one.missed
    places.heard_of(location, missed, now)
    _say_so(location, report.is_cut_off, now)
    return accepted, refused


def _refusal(one: Reported, now: datetime) -> str | None:
    if one.check_timestamp > now + AHEAD:
        return f"check_timestamp is more than {AHEAD.seconds // 60} minutes ahead of the server; check the clock"
    if one.check_timestamp < now - timedelta(days=SYNTHETIC_RESULT_DAYS - 1):
        return f"check_timestamp is older than the {SYNTHETIC_RESULT_DAYS} days that are kept"
    return None


def _result(one: Reported, location: str) -> Result:
    columns = msgspec.structs.asdict(one)
    own = {name: columns.pop(name) for name in ("id", "check_id", "attempts", "is_counted", "missed")}
    return Result(own["check_id"], location, columns, own["attempts"], own["is_counted"], own["id"])


def _say_so(location: str, is_cut_off: bool, now: datetime) -> None:
    row, _ = ProbeLocation.objects.get_or_create(location_name=location, defaults={"seen_at": now})
    since = (row.cut_off_since or now) if is_cut_off else None
    ProbeLocation.objects.filter(pk=row.pk).update(seen_at=now, cut_off_since=since)
