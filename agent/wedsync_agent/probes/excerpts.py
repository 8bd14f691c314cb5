"""The beginning of what a target answered, kept for people to look at where a check asks for it."""

from __future__ import annotations

from wedsync_agent.checks import CheckConfig
from wedsync_agent.probes.assertions import pattern
from wedsync_agent.probes.base import Trace
from wedsync_agent.probes.redaction import MASK

# What a pattern of `redact` may need behind the cut.
_BEHIND = 4096


def beginning(text: str, config: CheckConfig, trace: Trace) -> str:
    """At most `sample_bytes` of `text`. What is hidden is hidden before the cut, which would leave a part of it."""
    kept = text[: config.sample_bytes + max(trace.vault.longest(), _BEHIND)]
    for one in config.redact:
        kept = pattern(one).sub(MASK, kept)
    hidden = str(trace.vault.clean(kept))
    return hidden.encode()[: config.sample_bytes].decode("utf-8", "ignore")
