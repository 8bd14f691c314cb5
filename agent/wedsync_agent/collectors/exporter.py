"""Prometheus exporters on the host: the text exposition format 0.0.4, line by line.

Lines that cannot be read are counted and skipped. Histograms and summaries are their component series.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from wedsync_agent.wire import Reading

MAX_BYTES = 8 * 1024 * 1024
MAX_SAMPLES = 20_000
_LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+(-?\d+))?\s*$")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
_SPECIAL = {"+Inf": "inf", "-Inf": "-inf", "Inf": "inf", "NaN": "nan"}


@dataclass
class Page:
    """What a page of an exporter held."""

    readings: list[Reading] = field(default_factory=list)
    skipped: int = 0


def parse(text: str, extra: Mapping[str, str] | None = None) -> Page:
    """The samples of an exposition page, with `extra` labels added."""
    page = Page()
    kinds: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            parts = line.split(None, 3)
            if len(parts) == 4:
                kinds[parts[2]] = parts[3].strip()
        elif line.strip() and not line.startswith("#"):
            reading = _reading(line, kinds, extra or {})
            if reading is None or len(page.readings) >= MAX_SAMPLES:
                page.skipped += 1
            else:
                page.readings.append(reading)
    return page


def _reading(line: str, kinds: Mapping[str, str], extra: Mapping[str, str]) -> Reading | None:
    match = _LINE.match(line)
    if match is None:
        return None
    labels = _labels(match[2] or "")
    if labels is None:
        return None
    try:
        value = float(_SPECIAL.get(match[3], match[3]))
    except ValueError:
        return None
    return Reading(match[1], value, "", _kind(match[1], kinds), {**labels, **extra})


def _labels(text: str) -> dict[str, str] | None:
    labels: dict[str, str] = {}
    place = 0
    while place < len(text):
        match = _LABEL.match(text, place)
        if match is None:
            return None if text[place:].strip() else labels
        labels[match[1]] = re.sub(r'\\[\\"n]', lambda escape: _ESCAPES[escape[0]], match[2])
        place = match.end()
    return labels


def _kind(name: str, kinds: Mapping[str, str]) -> str:
    """The wire's metric type; parts of histograms and summaries count upwards."""
    if name in kinds:
        return kinds[name] if kinds[name] in ("counter", "gauge") else "gauge"
    base = re.sub(r"_(bucket|sum|count|total)$", "", name)
    return "counter" if kinds.get(base) in ("histogram", "summary", "counter") else "gauge"


def scrape(http: httpx.Client, url: str, headers: Mapping[str, str], extra: Mapping[str, str]) -> Page:
    """Read one exporter. Raises httpx.HTTPError, or ValueError for a page that is too large."""
    with http.stream("GET", url, headers=dict(headers), timeout=5) as answer:
        answer.raise_for_status()
        content = b""
        for part in answer.iter_bytes():
            content += part
            if len(content) > MAX_BYTES:
                raise ValueError(f"{url} answers more than {MAX_BYTES} bytes")
    return parse(content.decode("utf-8", "replace"), extra)
