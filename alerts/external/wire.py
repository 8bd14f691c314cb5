"""Alerts as Prometheus sends them to an Alertmanager (API v2, POST /api/v2/alerts). Pure: no Django."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

MAX_ALERTS = 5000
Text = Annotated[str, Meta(max_length=10_000)]
Labels = Annotated[dict[Annotated[str, Meta(min_length=1, max_length=200)], Text], Meta(max_length=100)]
# What people call severities, by ours.
SEVERITIES = {
    "critical": "critical", "page": "critical", "emergency": "critical", "fatal": "critical",
    "high": "high", "error": "high", "major": "high",
    "medium": "medium", "warning": "medium", "warn": "medium", "minor": "medium",
    "low": "low", "info": "low", "informational": "low", "notice": "low", "none": "low",
}  # fmt: skip
# The labels that may name the asset, the first first.
HOSTS = ("host", "hostname", "nodename", "node", "instance")


class Posted(msgspec.Struct, rename="camel"):
    """One alert: it ends at `ends_at`, which lies ahead while it lasts, and is said again until then."""

    labels: Labels
    annotations: Labels = {}
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    generator_url: Annotated[str, Meta(max_length=4000)] = msgspec.field(default="", name="generatorURL")

    def __post_init__(self) -> None:
        if not self.labels.get("alertname"):
            raise ValueError("send the label alertname")
        if len(self.labels["alertname"]) > 200:
            raise ValueError("send an alertname of at most 200 characters")
        if any("\0" in text for part in (self.labels, self.annotations) for item in part.items() for text in item):
            raise ValueError("send text without NUL characters")
        if "\0" in self.generator_url:
            raise ValueError("send text without NUL characters")
        for name in ("starts_at", "ends_at"):
            moment: datetime | None = getattr(self, name)
            # Go's zero time stands for none.
            if moment is not None and moment.year == 1:
                setattr(self, name, None)
            elif moment is not None and moment.tzinfo is None:
                raise ValueError("send times with their time zone, such as 2026-06-12T14:00:00Z")

    @property
    def alertname(self) -> str:
        return self.labels["alertname"]

    @property
    def severity(self) -> str:
        return SEVERITIES.get(self.labels.get("severity", "").lower(), "medium")

    @property
    def hosts(self) -> list[str]:
        """The names that the asset may have, the likeliest first: a port does not belong to it."""
        named = [self.labels[label] for label in HOSTS if self.labels.get(label)]
        return list(dict.fromkeys(name for one in named for name in (one, without_port(one))))


def without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name.strip("[]") if colon and port.isdigit() else host


def fingerprint(labels: Mapping[str, str]) -> str:
    """One name for a set of labels, whatever their order."""
    return hashlib.sha256(msgspec.json.encode(sorted(labels.items()))).hexdigest()[:32]


def decode(body: bytes) -> tuple[list[Posted], list[str]]:
    """The alerts that can be read, and what is wrong with the others. Raises msgspec.MsgspecError for no array."""
    raw = msgspec.json.decode(body, type=Annotated[list[msgspec.Raw], Meta(max_length=MAX_ALERTS)])
    good, problems = [], []
    for place, one in enumerate(raw):
        try:
            good.append(msgspec.json.decode(one, type=Posted))
        except msgspec.MsgspecError as error:
            problems.append(f"[{place}]: {error}")
    return good, problems
