"""Files of Prometheus's alerting rules as entries of the section alert_rules, with a list of what could not be taken.

Pure: no Django.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import msgspec

from alerts.external.expressions import Asked, Inexpressible, asked
from assets.metrics.promql.lexing import BadQuery, is_duration, milliseconds
from wedsync_monitor.configuration import text

USUAL_INTERVAL_SECONDS = 60
MOST_BREACHES = 1000
SEVERITIES = {
    "critical": "critical", "page": "critical", "emergency": "critical", "error": "high", "high": "high",
    "major": "high", "warning": "medium", "warn": "medium", "medium": "medium", "minor": "low", "low": "low",
    "info": "low", "information": "low", "none": "low",
}  # fmt: skip
_URL = re.compile(r"https?://[^\s{}]+")


class _Rule(msgspec.Struct, forbid_unknown_fields=True):
    expr: str | int | float
    alert: str = ""
    record: str = ""
    lasting: str | int = msgspec.field(name="for", default=0)
    keep_firing_for: str | int = 0
    labels: dict[str, Any] = {}
    annotations: dict[str, Any] = {}


class _Group(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    rules: list[_Rule] = []
    interval: str | int = USUAL_INTERVAL_SECONDS
    query_offset: str | int = 0
    labels: dict[str, Any] = {}
    limit: int = 0
    partial_response_strategy: str = ""


class _File(msgspec.Struct):
    groups: list[_Group]


@dataclass
class Imported:
    """`entries` by the names that the rules have here; `notes` what of them is not quite as it was; `refused` why a
    rule is not among them. Both are by the names that the file has, with the group."""

    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    @property
    def written(self) -> str:
        """The entries as a file, under what one should know of them."""
        told = [f"# Not taken: {name}: {why}" for name, why in self.refused]
        told += [f"# {name}: {note}" for name, note in self.notes]
        lines = [" ".join(line.split()) for line in told]
        return "".join(f"{line}\n" for line in lines) + text.written({"alert_rules": self.entries})


def imported(content: str, ignored: Collection[str] = ()) -> Imported:
    """The rules of a file, or of a PrometheusRule resource. Raises text.Unreadable."""
    data = text.read(content)
    if isinstance(data, dict) and isinstance(data.get("spec"), dict):
        data = data["spec"]
    try:
        groups = msgspec.convert(data, _File).groups
    except msgspec.ValidationError as error:
        raise text.Unreadable(f"write groups with their rules as Prometheus has them: {error}") from error
    found = Imported()
    for group in groups:
        for rule in group.rules:
            _take(found, group, rule, ignored)
    return found


def _take(found: Imported, group: _Group, rule: _Rule, ignored: Collection[str]) -> None:
    name = f"{group.name}/{rule.alert or rule.record}"
    try:
        if not rule.alert:
            raise Inexpressible("a recording rule makes a series, and no alert")
        labels = {**group.labels, **rule.labels}
        entry, notes = _entry(group, rule, labels, ignored)
    except Inexpressible as error:
        found.refused.append((name, str(error)))
        return
    if group.limit:
        notes.append("the group's limit is left out")
    found.entries[_free_name(found, rule.alert, entry["severity"])] = entry
    found.notes += [(name, note) for note in notes]


def _free_name(found: Imported, wanted: str, severity: str) -> str:
    """The alert's name; Prometheus lets several rules share one."""
    names = [wanted, f"{wanted} ({severity})", *(f"{wanted} ({severity}, {n})" for n in range(2, 1000))]
    return next(name for name in names if name not in found.entries)


def _entry(
    group: _Group, rule: _Rule, labels: dict[str, Any], ignored: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    interval = max(_seconds(group.interval, "interval"), 1)
    lasting = _seconds(rule.lasting, "for")
    frequency = min(max(interval, math.ceil(lasting / (MOST_BREACHES - 1))), 86400)
    found = asked(str(rule.expr), max(60, 2 * frequency), ignored)
    terms = {
        "consecutive_breaches": math.ceil(lasting / frequency) + 1 if lasting else 1,
        "keep_firing_seconds": _seconds(rule.keep_firing_for, "keep_firing_for", 86400),
    }
    if delay := _seconds(group.query_offset, "query_offset", 3600):
        terms["evaluation_delay_seconds"] = delay
    severity, notes = _severity(labels)
    told, more = _told(rule.annotations)
    usual = {"consecutive_breaches": 1, "keep_firing_seconds": 0}
    terms = {name: value for name, value in terms.items() if usual.get(name) != value}
    parts: dict[str, Any] = told | {"asset_filter": found.asset_filter, "metric_conditions": found.metric_conditions}
    parts |= {"severity": severity, "alert_type": found.alert_type, "evaluation_frequency": frequency}
    parts |= {"threshold_config": terms, **_configs(found)}
    usual_columns = {"alert_type": "threshold", "evaluation_frequency": 60, "asset_filter": {}, "threshold_config": {}}
    kept = {name: value for name, value in parts.items() if usual_columns.get(name) != value}
    return kept | {"severity": severity}, [*found.notes, *notes, *more]


def _configs(found: Asked) -> dict[str, Any]:
    configs = {"absence_config": found.absence_config, "composite_config": found.composite_config}
    return {name: config for name, config in configs.items() if config}


def _seconds(said: str | int, name: str, most: int = 10 * 365 * 86400) -> int:
    duration = str(said)
    try:
        if not is_duration(duration) and duration != "0" and not isinstance(said, int):
            raise Inexpressible(f"{name}: {duration!r} is not a duration like 5m")
        seconds = said if isinstance(said, int) else math.ceil(milliseconds(duration) / 1000)
    except BadQuery as error:
        raise Inexpressible(f"{name}: {error}") from error
    if not 0 <= seconds <= most:
        raise Inexpressible(f"{name} is of at most {most} seconds")
    return seconds


def _severity(labels: dict[str, Any]) -> tuple[str, list[str]]:
    said = str(labels.get("severity", ""))
    others = [name for name in labels if name != "severity"]
    notes = [f"the label {name} is left out: alerts carry their asset's labels" for name in others]
    if said.lower() not in SEVERITIES:
        notes.append(f"the severity {said!r} counts as medium" if said else "without a severity it counts as medium")
    return SEVERITIES.get(said.lower(), "medium"), notes


def _told(annotations: dict[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Summary, description and runbook; placeholders are nobody's to fill here."""
    texts = [str(annotations[name]).strip() for name in ("summary", "description", "message") if name in annotations]
    runbook = str(annotations.get("runbook_url", ""))
    told, notes = {"rule_description": "\n".join(texts)} if any(texts) else {}, []
    if any("{{" in one for one in texts):
        notes.append("placeholders of its annotations stay as they are written")
    if _URL.fullmatch(runbook):
        told["runbook_url"] = runbook
    elif runbook:
        notes.append("the runbook's address is left out: it has placeholders")
    others = set(annotations) - {"summary", "description", "message", "runbook_url"}
    return told, notes + [f"the annotation {name} is left out" for name in sorted(others)]
