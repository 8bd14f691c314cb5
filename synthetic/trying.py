"""A check tried out now: one attempt, from this server, of which nothing is kept."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
from wedsync_agent.probes import Check, Outcome, run

from synthetic import targets
from synthetic.models import SyntheticCheck
from synthetic.standing import stamp
from synthetic.targets import Secrets

# A request waits for it, whatever timeout the check itself has.
MAX_SECONDS = 30.0
PREVIEW_BYTES = 2048
_AT_ONCE = 4
_places = threading.BoundedSemaphore(_AT_ONCE)


class Busy(Exception):
    """As many are tried out already as this process does at once."""


def try_out(check: SyntheticCheck) -> Outcome:
    """Raises Busy and targets.Unusable."""
    probe = _shown(targets.probe_of(check))
    around = targets.surroundings(Secrets().of(probe), {}, lambda: datetime.now(UTC))
    if not _places.acquire(blocking=False):
        raise Busy(f"{_AT_ONCE} checks are being tried out already; try again in some seconds")
    try:
        return asyncio.run(run(probe, around))
    finally:
        _places.release()


def _shown(probe: Check) -> Check:
    """The same check, with as much of the answer's body as is shown, and within the time of a request."""
    size = max(probe.config.sample_bytes, PREVIEW_BYTES)
    config = msgspec.structs.replace(probe.config, sample_bytes=size)
    return replace(probe, config=config, timeout_seconds=min(probe.timeout_seconds, MAX_SECONDS))


def told(outcome: Outcome) -> dict[str, Any]:
    """The specification's TestSyntheticCheckResponse. Whatever was no success is a failure."""
    is_good = outcome.status == "success"
    return {
        "test_timestamp": stamp(outcome.at),
        "status": "success" if is_good else "failure",
        "response_time_ms": outcome.response_time_ms,
        "status_code": outcome.status_code,
        "response_headers": outcome.response_headers,
        "response_body_preview": outcome.response_body_sample,
        "error_message": outcome.error_message,
        "network_timing": outcome.network_timing,
    }
