"""What rules of the other types ask, from their columns with all defaults. Pure but for the types it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from alerts.conditions import AbsenceConfig, AnomalyConfig, CheckPart, CompositeConfig, MetricPart, RulePart

if TYPE_CHECKING:
    from alerts.models import AlertRule

Part = MetricPart | RulePart | CheckPart


# Aggregations that an hour says enough of.
WITH_A_BAND = ("avg", "max", "min")


def anomaly_of(rule: AlertRule) -> AnomalyConfig:
    """What an anomaly rule asks for, with the metric by name (empty where it names none). Raises
    msgspec.ValidationError where it was stored unchecked."""
    watched = {} if rule.anomaly_config.get("metric_name") or not rule.metric_conditions else rule.metric_conditions[0]
    own = {name: watched[name] for name in ("metric_name", "aggregation", "time_window") if name in watched}
    return msgspec.convert(rule.anomaly_config | own, AnomalyConfig)


def absence_of(rule: AlertRule) -> AbsenceConfig:
    """What an absence rule asks for, with the metric by name (empty where it names none). Raises
    msgspec.ValidationError where it was stored unchecked."""
    asked = msgspec.convert(rule.absence_config, AbsenceConfig)
    if asked.metric_name or not rule.metric_conditions:
        return asked
    return msgspec.structs.replace(asked, metric_name=rule.metric_conditions[0]["metric_name"])


def composite_of(rule: AlertRule) -> CompositeConfig:
    """What a composite rule asks for, its metric conditions among the parts. Raises msgspec.ValidationError where it
    was stored unchecked."""
    asked = msgspec.convert(rule.composite_config, CompositeConfig)
    own = [msgspec.convert({"kind": "metric"} | condition, MetricPart) for condition in rule.metric_conditions]
    return msgspec.structs.replace(asked, parts=[*own, *asked.parts])


def named_rules(asked: CompositeConfig) -> set[str]:
    """The rules whose alerts it asks about."""
    return {part.rule_name for part in asked.parts if isinstance(part, RulePart)}
