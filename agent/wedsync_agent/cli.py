"""The `wedsync-agent` command."""

from __future__ import annotations

import argparse
import os
import signal
import time

import httpx

from wedsync_agent import __version__
from wedsync_agent.collectors import collect
from wedsync_agent.configuration import Collection, Local
from wedsync_agent.runner import Runner, say
from wedsync_agent.spool import Busy
from wedsync_agent.transport import UNKNOWN_KEY, client


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="wedsync-agent", description="Reports this host's metrics to WedSync Monitor."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="collect and send until stopped")
    commands.add_parser("once", help="print what would be sent; asks no server and needs no key")
    commands.add_parser("check", help="try the way to the server and the key; the exit code says whether both are good")
    enrol = commands.add_parser("enrol", help="exchange an enrolment token for a key")
    enrol.add_argument("--server")
    enrol.add_argument("--token", default=os.environ.get("WEDSYNC_ENROLMENT_TOKEN"))
    chosen = parser.parse_args()
    {"run": _run, "once": _once, "check": _check, "enrol": _enrol}[chosen.command](chosen)


def _run(chosen: argparse.Namespace) -> None:
    try:
        runner = Runner(Local.from_environment())
    except Busy as error:
        raise SystemExit(str(error)) from error
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: runner.stopping.set())
    say(f"version {__version__}, reporting to {runner.local.server}")
    runner.run()


def _once(chosen: argparse.Namespace) -> None:
    collect(Collection())
    time.sleep(1)
    readings, problems = collect(Collection())
    for reading in readings:
        labels = ",".join(f"{name}={value}" for name, value in sorted(reading.labels.items()))
        print(f"{reading.name}{{{labels}}} {reading.value} {reading.unit}")
    for problem in problems:
        say(problem)


def _check(chosen: argparse.Namespace) -> None:
    local = Local.from_environment()
    key = local.key()
    if key is None:
        raise SystemExit(f"there is no key in {local.kept_key()}; enrol first")
    headers = {"Authorization": f"Bearer {key}"}
    try:
        answer = client(local).get("/api/monitoring/agents/configuration", headers=headers)
    except httpx.HTTPError as error:
        raise SystemExit(f"{local.server} does not answer: {error}") from error
    if answer.status_code == 401:
        raise SystemExit(f"{local.server}: {UNKNOWN_KEY}")
    if not answer.is_success:
        raise SystemExit(f"{local.server} answered {answer.status_code}: {answer.text[:300]}")
    print(f"{local.server} knows this agent")


def _enrol(chosen: argparse.Namespace) -> None:
    if chosen.server:
        os.environ["WEDSYNC_SERVER"] = chosen.server
    local = Local.from_environment()
    body = {"token": chosen.token, "agent_version": __version__}
    try:
        answer = client(local).post("/api/monitoring/agents/enrol", json=body)
    except httpx.HTTPError as error:
        raise SystemExit(f"{local.server} does not answer: {error}") from error
    if not answer.is_success:
        raise SystemExit(f"{local.server} answered {answer.status_code}: {answer.text[:300]}")
    local.keep_key(answer.json()["key"])
    print(f"enrolled as {answer.json()['agent_name']}; the key is in {local.kept_key()}")
