"""Prometheus exporters on the host, read as readings of the agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from wedsync_agent import exposition
from wedsync_agent.wire import Reading

MAX_BYTES = 8 * 1024 * 1024
MAX_SAMPLES = 20_000


@dataclass
class Page:
    """What a page of an exporter held."""

    readings: list[Reading] = field(default_factory=list)
    skipped: int = 0


def parse(text: str, extra: Mapping[str, str] | None = None, openmetrics: bool = False) -> Page:
    """The samples of an exposition page, with `extra` labels added. Raises exposition.Unreadable."""
    found = exposition.parse(text, openmetrics, MAX_SAMPLES)
    page = Page(skipped=found.skipped)
    for line in found.lines:
        named = exposition.named(line.series)
        if named is None:
            page.skipped += 1
        else:
            name, labels = named
            page.readings.append(
                Reading(name, line.value, line.unit, line.kind, exposition.with_labels(labels, extra or {}))
            )
    return page


def scrape(http: httpx.Client, url: str, headers: Mapping[str, str], extra: Mapping[str, str]) -> Page:
    """Read one exporter. Raises httpx.HTTPError, or ValueError for a page that is too large or broken off."""
    with http.stream("GET", url, headers=dict(headers), timeout=5) as answer:
        answer.raise_for_status()
        content = b""
        for part in answer.iter_bytes():
            content += part
            if len(content) > MAX_BYTES:
                raise ValueError(f"{url} answers more than {MAX_BYTES} bytes")
        openmetrics = exposition.is_openmetrics(answer.headers.get("Content-Type", ""))
    return parse(content.decode("utf-8", "replace"), extra, openmetrics)
