"""api: requests in order, each with what is expected of its answer and what the next ones take from it."""

from __future__ import annotations

import hashlib
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urljoin

import msgspec

from wedsync_agent.checks import Step
from wedsync_agent.probes import assertions
from wedsync_agent.probes.assertions import Seen
from wedsync_agent.probes.base import Check, Session, Surroundings, Trace, Trouble
from wedsync_agent.probes.http import judge, keep_sample, seen_of
from wedsync_agent.probes.requesting import fetch, request_of


class _Unauthorised(Exception):
    """A step was answered 401 with a sign-in of an earlier run."""


async def probe(check: Check, trace: Trace, around: Surroundings) -> None:
    run = _Run(check, trace, around)
    try:
        await run.go()
    except _Unauthorised:
        around.sessions.pop(run.key, None)
        await run.go()


class _Run:
    """One run of a check's steps."""

    def __init__(self, check: Check, trace: Trace, around: Surroundings):
        self.check, self.trace, self.around = check, trace, around
        signs_in = msgspec.json.encode([check.key, check.url, check.config.sign_in])
        self.key = hashlib.sha256(signs_in).hexdigest()
        self._told: list[dict[str, Any]] = []
        self._kept = False

    async def go(self) -> None:
        config, expected = self.check.config, self.check.expected
        session = await self._signed_in()
        # What later steps extract belongs to this run alone.
        self.trace.vault.variables = dict(session.variables)
        steps = config.steps or [self._own_request()]
        for number, step in enumerate(steps, 1):
            seen = await self._step(f"step {number}", step, session)
        self.trace.where = ""
        codes = [*config.expected_status_codes, *expected.status_codes] or ["100-599"]
        contents = (config.expected_content, expected.content)
        judge(seen, codes, True, contents, config.assertions, self.trace)

    def _own_request(self) -> Step:
        """What a check without steps asks."""
        config = self.check.config
        codes = [*config.expected_status_codes, *self.check.expected.status_codes]
        return Step(
            url=self.check.url,
            method=config.method,
            headers=config.headers,
            body=config.body,
            auth=config.auth,
            follow_redirects=config.follow_redirects,
            expected_status_codes=codes,
        )

    async def _signed_in(self) -> Session:
        sign_in, sessions, now = self.check.config.sign_in, self.around.sessions, self.around.clock()
        kept = sessions.get(self.key)
        self._kept = kept is not None and kept.ends > now
        if kept is not None and self._kept:
            for value in kept.hidden:
                self.trace.vault.hide(value)
            return kept
        session = Session()
        self.trace.vault.variables = session.variables
        for number, step in enumerate(sign_in.steps if sign_in else [], 1):
            await self._step(f"sign-in step {number}", step, session)
        if sign_in and sign_in.reuse_seconds:
            session.ends = now + sign_in.reuse_seconds
            session.hidden = self.trace.vault.hidden()
            _keep(sessions, self.key, session, now)
        return session

    async def _step(self, place: str, step: Step, session: Session) -> Seen:
        trace, config = self.trace, self.check.config
        trace.where = f"{place}{f' ({step.name})' if step.name else ''}: "
        began = trace.watch.so_far().total_ms
        # Joined as it is written: what is filled in later can lead to another path, and not to another host.
        url = urljoin(self.check.url, step.url) if step.url.startswith("/") else step.url
        request = request_of(step.method, url, step.headers, step.body, step.auth, trace.vault)
        told: dict[str, Any] = {"step": place, "name": step.name}
        self._told.append(told)
        trace.network["steps"] = self._told
        try:
            answer = await fetch(request, step.follow_redirects, config, trace, self.around, session.cookies)
            told["status_code"] = answer.status
        finally:
            told["response_time_ms"] = round(trace.watch.so_far().total_ms - began, 3)
        if answer.status == 401 and self._kept:
            raise _Unauthorised
        seen = seen_of(answer, config, trace, began)
        self._hide(step, seen)
        keep_sample(seen, config, trace)
        judge(seen, step.expected_status_codes, step.follow_redirects, (), step.assertions, trace)
        self._extract(step, seen)
        return seen

    def _hide(self, step: Step, seen: Seen) -> None:
        """What is to be extracted is hidden first: also where the step fails and the sample shows why."""
        for one in step.extract:
            with suppress(Trouble):
                if one.secret:
                    self.trace.vault.hide(assertions.extracted(seen, one))

    def _extract(self, step: Step, seen: Seen) -> None:
        variables = self.trace.vault.variables
        assert variables is not None
        for one in step.extract:
            variables[one.name] = assertions.extracted(seen, one)


def _keep(sessions: MutableMapping[str, Session], key: str, session: Session, now: float) -> None:
    gone: Sequence[str] = [other for other, kept in sessions.items() if kept.ends <= now]
    for other in gone:
        sessions.pop(other, None)
    sessions[key] = session
