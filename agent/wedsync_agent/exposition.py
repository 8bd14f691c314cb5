"""Pages of Prometheus exporters: the text format 0.0.4 and OpenMetrics 1.0, line by line. Pure; the server reads
exporters with it too.

https://prometheus.io/docs/instrumenting/exposition_formats/, https://prometheus.io/docs/specs/om/open_metrics_spec/
Lines that cannot be read are counted and skipped. Histograms and summaries are their component series. A line's
series is kept as it was sent, so that whoever sees the same pages again and again reads its labels once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.6,*/*;q=0.1"
# Name and labels, value, time, and what OpenMetrics appends to a sample (an exemplar), which is passed over. Braces
# may stand inside of a quoted label value.
_LINE = re.compile(
    r'([a-zA-Z_:][a-zA-Z0-9_:]*(?:\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})?)[ \t]*(?<=[ \t}])'
    r"(\S+)(?:[ \t]+(-?[0-9.eE+-]+))?[ \t]*(?:# \{.*)?"
)
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_ESCAPE = re.compile(r'\\[\\"n]')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
_SUFFIX = re.compile(r"_(bucket|gsum|gcount|sum|count|total|created|info)$")
# What counts upwards of the families that have several series.
_COUNTING = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("_sum", "_count"),
}


class Unreadable(ValueError):
    """The page is no exposition at all, or only the beginning of one."""


@dataclass(frozen=True)
class Line:
    """One sample: its series as it was sent, `name{labels}`; milliseconds since 1970 where it says when."""

    series: str
    value: float
    timestamp_ms: int | None
    kind: str  # gauge or counter
    unit: str


@dataclass
class Page:
    """What a page held."""

    lines: list[Line] = field(default_factory=list)
    skipped: int = 0


def is_openmetrics(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/openmetrics-text"


def parse(text: str, openmetrics: bool = False, limit: int | None = None) -> Page:
    """The samples of a page; those past `limit` count as skipped. Raises Unreadable for an OpenMetrics page without
    its end."""
    page, families = Page(), _Families()
    ended = False
    for line in text.split("\n"):
        if line.startswith("#"):
            ended = ended or line.rstrip() == "# EOF"
            families.note(line)
        elif line and not line.isspace():
            sample = _sample(line.strip(), families, openmetrics)
            if sample is None or (limit is not None and len(page.lines) >= limit):
                page.skipped += 1
            else:
                page.lines.append(sample)
    if openmetrics and not ended:
        raise Unreadable("the page ends before its # EOF")
    return page


class _Families:
    """What the comments say of types and units, by the names of series."""

    def __init__(self) -> None:
        self._types: dict[str, str] = {}
        self._units: dict[str, str] = {}
        self._known: dict[str, tuple[str, str]] = {}

    def note(self, line: str) -> None:
        parts = line.split(None, 3)
        if len(parts) == 4 and parts[1] in ("TYPE", "UNIT"):
            (self._types if parts[1] == "TYPE" else self._units)[parts[2]] = parts[3].strip()
            self._known.clear()

    def of(self, name: str) -> tuple[str, str]:
        """Kind and unit of the series with this name."""
        found = self._known.get(name)
        if found is None:
            base = _SUFFIX.sub("", name)
            unit = self._units.get(name) or self._units.get(base) or ""
            found = self._known[name] = self._kind(name, base), unit
        return found

    def _kind(self, name: str, base: str) -> str:
        if name in self._types:
            declared = self._types[name]
            return "counter" if declared == "counter" else "gauge"
        suffix = name[len(base) :]
        return "counter" if suffix in _COUNTING.get(self._types.get(base, ""), ()) else "gauge"


def _sample(line: str, families: _Families, openmetrics: bool) -> Line | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    series, value, timestamp = match.groups()
    try:
        number = float(value)
        # OpenMetrics writes seconds with a fraction, the older format whole milliseconds.
        at = None if timestamp is None else round(float(timestamp) * 1000) if openmetrics else int(timestamp)
    except (ValueError, OverflowError):
        return None
    if "_" in value:  # Python reads 1_000, the format does not know it
        return None
    return Line(series, number, at, *families.of(series.partition("{")[0]))


def named(series: str) -> tuple[str, dict[str, str]] | None:
    """The name and labels of a series as it was sent; None where its labels cannot be read."""
    name, brace, text = series.partition("{")
    labels: dict[str, str] = {}
    if not brace:
        return name, labels
    text, place = text[:-1], 0
    while place < len(text):
        match = _LABEL.match(text, place)
        if match is None:
            return None if text[place:].strip() else (name, labels)
        labels[match[1]] = _ESCAPE.sub(lambda escape: _ESCAPES[escape[0]], match[2])
        place = match.end()
    return name, labels


def with_labels(labels: Mapping[str, str], target: Mapping[str, str]) -> dict[str, str]:
    """The labels of a series of a target: the target's own win, and what the page said under such a name is kept as
    `exported_…`, as Prometheus does it. So is `asset`, which is the asset's name wherever series are looked up."""
    taken = {*target, "asset"}
    merged = {}
    for name, value in labels.items():
        kept = name
        while kept in taken or (kept != name and kept in labels):
            kept = f"exported_{kept}"
        if value:
            merged[kept] = value
    return merged | dict(target)
