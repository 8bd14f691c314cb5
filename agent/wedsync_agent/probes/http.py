"""http: one request, its redirects, and what is expected of the answer."""

from __future__ import annotations

from functools import partial

from wedsync_agent.checks import CheckConfig
from wedsync_agent.probes import assertions, cookies
from wedsync_agent.probes.base import Check, Surroundings, Trace, Trouble
from wedsync_agent.probes.http1 import Answer
from wedsync_agent.probes.requesting import fetch, request_of, unpacked


async def probe(check: Check, trace: Trace, around: Surroundings) -> None:
    config, expected = check.config, check.expected
    vault = trace.vault
    request = request_of(config.method, check.url, config.headers, config.body, config.auth, vault)
    jar: cookies.Jar = {}
    answer = await fetch(request, config.follow_redirects, config, trace, around, jar)
    seen = seen_of(answer, config, trace)
    codes = [*config.expected_status_codes, *expected.status_codes]
    told = [assertions.status_failure(seen.status, codes, "200-299" if config.follow_redirects else "200-399")]
    told += [assertions.content_failure(seen, content) for content in (config.expected_content, expected.content)]
    told += assertions.failures(seen, config.assertions, vault.fill)
    if failures := [failure for failure in told if failure]:
        raise Trouble("expectation", "; ".join(failures))


def seen_of(answer: Answer, config: CheckConfig, trace: Trace) -> assertions.Seen:
    """The answer to be judged; a sample of its body is in the trace where one is asked for."""
    unpack = partial(unpacked, answer, config.max_body_bytes)
    seen = assertions.Seen(answer.status, answer.joined, unpack, trace.watch.so_far().total_ms)
    if config.sample_bytes:
        trace.body_sample = _sample(seen.body, config, trace)
    return seen


def _sample(body: str, config: CheckConfig, trace: Trace) -> str:
    """The beginning of the body. What is hidden is hidden before the cut, which would leave a part of it."""
    beginning = body[: config.sample_bytes + max(trace.vault.longest(), 4096)]
    for text in config.redact:
        beginning = assertions.pattern(text).sub("********", beginning)
    hidden = str(trace.vault.clean(beginning))
    return hidden.encode()[: config.sample_bytes].decode("utf-8", "ignore")
