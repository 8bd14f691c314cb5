"""Probes: what a check asks of its target and what came back. Pure asyncio, used by the server and by agents.

    check = Check.read({"expected_status_codes": [200, "3xx"]}, kind="http", url="https://example.com/",
                       timeout_seconds=10, key=str(row.pk))
    around = Surroundings(secrets={"token": "…"}, allowed_networks=[ip_network("10.0.0.0/8")])
    outcome = await run(check, around)            # always an Outcome, never later than the timeout; raises nothing
    outcome.columns()                             # the columns of synthetic_check_results that a probe knows
    async for check, outcome in run_many(checks, around, concurrency=500): ...

1. `Check.read` raises ValueError that names the field of `check_config` or `expected_response` which does not fit
   (wedsync_agent.checks declares both). What only shows when it runs is an Outcome with the problem `configuration`.
2. `Outcome.status` is success, failure (the target answered, and not as expected), timeout, or error (no answer could
   be had). `Outcome.problem` says which kind of trouble it was (base.Problem); `says_nothing_about_the_target` is true
   where it is the check's or this machine's, `slow` and `expiring` mean that all the rest was as expected.
3. `Outcome.timing` has the five phases in milliseconds, which add up to the total. They are measured as the connection
   goes: where a run ends early, the time went to the phase that it was in.
4. Every connection goes to an address that was checked (wedsync_agent.guard), also after a redirect, through a proxy,
   and to a resolver that a check names.
5. Secrets are named in texts as `{{secret:NAME}}` and hidden in all of the outcome, with header values and cookies that
   give access.
6. Redirects count in `max_redirects`, bodies in `max_body_bytes`; headers, chunks and lines have fixed bounds.

A new type is a module with `probe` (base.Probe), a line in PROBES, and its test file.
"""

from __future__ import annotations

from collections.abc import Mapping

from wedsync_agent.checks import CheckConfig, ExpectedResponse
from wedsync_agent.probes import api, dns, http, ping, ssl, tcp
from wedsync_agent.probes.base import (
    Check,
    Outcome,
    Probe,
    Problem,
    Session,
    Status,
    Surroundings,
    Timing,
)
from wedsync_agent.probes.running import Runner

PROBES: Mapping[str, Probe] = {
    "http": http.probe,
    "api": api.probe,
    "dns": dns.probe,
    "tcp": tcp.probe,
    "ping": ping.probe,
    "ssl": ssl.probe,
}

_runner = Runner(PROBES)
run = _runner.run
run_many = _runner.run_many

__all__ = [
    "PROBES", "Check", "CheckConfig", "ExpectedResponse", "Outcome", "Probe", "Problem", "Session", "Status",
    "Surroundings", "Timing", "run", "run_many",
]  # fmt: skip
