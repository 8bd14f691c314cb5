"""Label sets of other systems as assets and series: the rules of docs/ways-in.md. Pure: no Django."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from assets.metrics.identity import SeriesKey
from assets.metrics.labelled import Named, NotASeries

# The first of these that a label set has names the asset. `asset` and the host's name say nothing else and are not
# kept as labels; `instance` tells two programs on one host apart and is.
_SAYS_ONLY_WHOSE = ("asset", "host.name", "host")
_COUNTER_SUFFIXES = ("_total", "_bucket", "_count", "_sum")
_WITH_PORT = re.compile(r"(?:\[(?P<bracketed>[^\]]*)\]|(?P<plain>[^:]*)):\d+")
_LOOPBACK = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1")


def named(metric_name: str, labels: Mapping[str, str], metric_type: str = "gauge", metric_unit: str = "") -> Named:
    """The series with this name and these labels, and whose it is. Raises NotASeries."""
    asset, kept = owner(labels)
    key = SeriesKey(metric_name, metric_type, metric_unit, kept, "push")
    if problem := key.problem():
        raise NotASeries(*problem)
    return Named(asset, key)


def owner(labels: Mapping[str, str]) -> tuple[str | None, dict[str, str]]:
    """The asset that labels name (None: the sender's own), and the labels that are kept. Empty ones are none."""
    kept = {name: value for name, value in labels.items() if value}
    for name in _SAYS_ONLY_WHOSE:
        if name in kept:
            return kept.pop(name), kept
    return (host_of(kept["instance"]) if "instance" in kept else None), kept


@lru_cache(maxsize=20_000)
def host_of(instance: str) -> str | None:
    """`instance` without its port, or the host of a URL; None where that is this host, seen from itself."""
    if "://" in instance:
        host = _host_of_url(instance)
    elif match := _WITH_PORT.fullmatch(instance):
        host = match["bracketed"] if match["plain"] is None else match["plain"]
    else:
        host = instance
    return None if not host or _LOOPBACK.fullmatch(host) else host


def _host_of_url(url: str) -> str:
    try:
        return urlsplit(url).hostname or url
    except ValueError:
        return url


def type_by_suffix(metric_name: str) -> str:
    """By Prometheus's naming rules. Its senders tell types apart from samples, if at all; what a series is must not
    depend on which request came first."""
    return "counter" if metric_name.endswith(_COUNTER_SUFFIXES) else "gauge"
