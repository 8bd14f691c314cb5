"""Answers of exporters as samples: what a page holds, or why it is none. Pure: no Django, no clock, no network."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
from wedsync_agent import exposition
from wedsync_agent.exposition import Unreadable

from assets.metrics import wire
from assets.metrics.identity import SeriesKey
from assets.metrics.labelled import Labelled, Named, NotASeries

_TYPES = ("", "text/plain", "application/openmetrics-text")


class BadPage(Exception):
    """The answer is no page of metrics that can be taken; the text says why."""


@dataclass(frozen=True)
class Origin:
    """Whose a page is: what tells its series from those of other pages. Hashable, and the same from time to time."""

    asset: UUID
    labels: tuple[tuple[str, str], ...]


@dataclass
class Reading:
    """One attempt to read a target: when it began, how long it took, and its page or why there is none."""

    origin: Origin
    timestamp_ms: int
    seconds: float
    page: exposition.Page | None = None
    error: str = ""
    sample_count: int = field(init=False)

    def __post_init__(self) -> None:
        self.sample_count = len(self.page.lines) if self.page else 0
        if self.page and self.page.skipped and not self.error:
            self.error = f"{self.page.skipped} lines cannot be read"


def page_of(status: int, headers: Mapping[str, str], body: bytes, max_bytes: int, sample_limit: int) -> exposition.Page:
    """The page of an answer. Raises BadPage."""
    if 300 <= status < 400:
        raise BadPage(f"HTTP {status} leads to {headers.get('location', '')[:200]!r}; name that address in the job")
    if status != 200:
        raise BadPage(f"HTTP {status}")
    content_type = headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() not in _TYPES:
        raise BadPage(f"it answers {content_type[:100]!r}, which is no page of metrics")
    try:
        text = wire.unpack(body, headers.get("content-encoding", ""), max_bytes).decode("utf-8", "replace")
        page = exposition.parse(text, exposition.is_openmetrics(content_type), sample_limit + 1)
    except wire.TooLarge as error:
        raise BadPage(f"it answers more than {max_bytes} bytes") from error
    except (wire.Malformed, Unreadable) as error:
        raise BadPage(str(error)) from error
    if len(page.lines) > sample_limit:
        raise BadPage(f"it has more than the {sample_limit} samples that the job allows")
    if page.skipped and not page.lines:
        raise BadPage(f"none of its {page.skipped} lines can be read")
    return page


def labelled(readings: Sequence[Reading]) -> Labelled:
    """The samples of all readings, and of each `up`, `scrape_duration_seconds` and `scrape_samples_scraped`; the index
    of a sample is that of its reading."""
    names: dict[Hashable, int] = {}
    origin, timestamps, values, index = [], [], [], []
    for place, reading in enumerate(readings):
        for name, value, at in _samples(reading):
            origin.append(names.setdefault(name, len(names)))
            timestamps.append(at)
            values.append(value)
            index.append(place)
    return Labelled(
        "exposition",
        list(names),
        _describe,
        np.array(origin, dtype=np.int64),
        np.array(timestamps, dtype=np.int64),
        np.array(values, dtype=np.float64),
        np.array(index, dtype=np.int64),
    )


_Name = tuple[Origin, str, str, str, str]  # series as it was sent, kind, unit, collection method


def _samples(reading: Reading) -> list[tuple[_Name, float, int]]:
    own = {
        "up": ("", float(reading.page is not None)),
        "scrape_duration_seconds": ("s", reading.seconds),
        "scrape_samples_scraped": ("", float(reading.sample_count)),
    }
    # This server's own: that a target was tried must not count as a report of its asset.
    samples: list[tuple[_Name, float, int]] = [
        ((reading.origin, name, "gauge", unit, "synthetic"), value, reading.timestamp_ms)
        for name, (unit, value) in own.items()
    ]
    for line in reading.page.lines if reading.page else ():
        at = reading.timestamp_ms if line.timestamp_ms is None else _clipped(line.timestamp_ms)
        samples.append(((reading.origin, line.series, line.kind, line.unit, "pull"), line.value, at))
    return samples


def _clipped(timestamp_ms: int) -> int:
    """Within what an array holds; a time that is far off is refused by itself."""
    return max(-(2**62), min(timestamp_ms, 2**62))


def _describe(name: _Name) -> Named:
    origin, series, kind, unit, method = name
    found = exposition.named(series)
    if found is None:
        raise NotASeries("labels", f"the labels of {series[:100]!r} cannot be read")
    metric_name, labels = found
    key = SeriesKey(metric_name, kind, unit, exposition.with_labels(labels, dict(origin.labels)), method)
    if problem := key.problem():
        raise NotASeries(*problem)
    return Named(str(origin.asset), key)
