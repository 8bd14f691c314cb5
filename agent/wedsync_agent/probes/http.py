"""http: one request, its redirects, and what is expected of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from wedsync_agent.checks import Assertion, CheckConfig
from wedsync_agent.probes import assertions, excerpts
from wedsync_agent.probes.assertions import Seen
from wedsync_agent.probes.base import Check, Surroundings, Trace, Trouble
from wedsync_agent.probes.http1 import Answer
from wedsync_agent.probes.requesting import fetch, request_of, unpacked


async def probe(check: Check, trace: Trace, around: Surroundings) -> None:
    config = check.config
    request = request_of(config.method, check.url, config.headers, config.body, config.auth, trace.vault)
    answer = await fetch(request, config.follow_redirects, config, trace, around, {})
    seen = seen_of(answer, config, trace)
    keep_sample(seen, config, trace)
    codes = [*config.expected_status_codes, *check.expected.status_codes]
    contents = (config.expected_content, check.expected.content)
    judge(seen, codes, config.follow_redirects, contents, config.assertions, trace)


def seen_of(answer: Answer, config: CheckConfig, trace: Trace, since_ms: float = 0.0) -> Seen:
    """The answer to be judged; `since_ms` is how long the run had taken when it was asked for."""
    unpack = partial(unpacked, answer, config.max_body_bytes)
    return Seen(answer.status, answer.joined, unpack, lambda: trace.watch.so_far().total_ms - since_ms)


def keep_sample(seen: Seen, config: CheckConfig, trace: Trace) -> None:
    if config.sample_bytes:
        trace.body_sample = excerpts.beginning(seen.body, config, trace)


def judge(
    seen: Seen,
    codes: Sequence[int | str],
    follows: bool,
    contents: Sequence[str],
    expected: Sequence[Assertion],
    trace: Trace,
) -> None:
    """Raises Trouble with a sentence for each thing that is not as expected."""
    told = [assertions.status_failure(seen.status, codes, "200-299" if follows else "200-399")]
    told += [assertions.content_failure(seen, content) for content in contents]
    told += assertions.failures(seen, expected, trace.vault.fill)
    if failures := [failure for failure in told if failure]:
        raise Trouble("expectation", "; ".join(failures))
