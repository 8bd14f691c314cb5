"""Lists of targets as they are written in a job, answered by http_sd, or kept in files. Pure: no Django.

All are Prometheus's `[{"targets": ["host:port"], "labels": {"name": "text"}}]`.
https://prometheus.io/docs/prometheus/latest/http_sd/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
import yaml
from msgspec import Meta

MAX_TARGETS = 10_000
MAX_LIST_BYTES = 8 * 1024 * 1024
_ADDRESS = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_PATH = re.compile(r"/[!-~]*")

LabelName = Annotated[str, Meta(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=200)]
LabelValue = Annotated[str, Meta(max_length=500)]


class BadList(ValueError):
    """What was found is no list of targets; the text says what to send instead."""


class TargetGroup(msgspec.Struct, omit_defaults=True):
    """Addresses that share labels."""

    targets: Annotated[list[Annotated[str, Meta(min_length=1, max_length=300)]], Meta(max_length=MAX_TARGETS)]
    labels: dict[LabelName, LabelValue] | None = None


@dataclass(frozen=True)
class Target:
    """One page to read, and the labels that its series get beside `job` and `instance`."""

    address: str
    url: str
    labels: Mapping[str, str] = field(default_factory=dict)


def groups_from_json(body: bytes) -> list[TargetGroup]:
    """Raises BadList."""
    try:
        return msgspec.json.decode(body, type=list[TargetGroup])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadList(f"this is no JSON list of targets and labels: {error}") from error


def groups_from_yaml(body: bytes) -> list[TargetGroup]:
    """Raises BadList."""
    try:
        found: Any = yaml.load(body, Loader=yaml.CSafeLoader)
        return msgspec.convert(found or [], list[TargetGroup])
    except (yaml.YAMLError, msgspec.ValidationError, RecursionError, ValueError) as error:
        raise BadList(f"this is no YAML list of targets and labels: {error}") from error


def targets_of(groups: Iterable[TargetGroup], scheme: str, path: str) -> list[Target]:
    """The targets of all groups, each URL once. `__scheme__`, `__metrics_path__` and `__param_…` change a group's URL;
    other labels with two underscores are the discovery's own and are not kept. Raises BadList."""
    found: dict[str, Target] = {}
    for group in groups:
        labels = {name: value for name, value in (group.labels or {}).items() if value}
        own = {name: labels.pop(name) for name in list(labels) if name.startswith("__")}
        for address in group.targets:
            url = _url_of(address, own.get("__scheme__", scheme), own.get("__metrics_path__", path), own)
            found.setdefault(url, Target(address, url, labels))
            if len(found) > MAX_TARGETS:
                raise BadList(f"there are more than {MAX_TARGETS} targets; make several jobs of them")
    return list(found.values())


def _url_of(address: str, scheme: str, path: str, own: Mapping[str, str]) -> str:
    if not _ADDRESS.fullmatch(address):
        raise BadList(f"{address[:100]!r} is no address; write host:port without a path")
    if scheme not in ("http", "https") or not _PATH.fullmatch(path) or "#" in path:
        raise BadList(f"the target {address} has no http or https scheme or no path that begins with /")
    parameters = [(name[8:], value) for name, value in own.items() if name.startswith("__param_")]
    return f"{scheme}://{address}{path}{_query(parameters, '&' if '?' in path else '?')}"


def _query(parameters: Sequence[tuple[str, str]], first: str) -> str:

    return first + urlencode(parameters) if parameters else ""
