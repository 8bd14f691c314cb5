"""Whether the columns of a rule make one together: what its type needs, and no composite rule that asks itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from django.conf import settings
from django.core.exceptions import ValidationError

from alerts import rule_kinds
from alerts.conditions import CompositeConfig
from alerts.models.choices import AlertType

if TYPE_CHECKING:
    from alerts.models.rules import AlertRule


def check(rule: AlertRule) -> None:
    """Raises ValidationError by column. What a column by itself says wrong is left to the column."""
    try:
        if rule.alert_type == AlertType.ANOMALY:
            _check_anomaly(rule)
        elif rule.alert_type == AlertType.ABSENCE:
            _check_absence(rule)
        elif rule.alert_type == AlertType.COMPOSITE:
            _check_composite(rule)
        elif rule.metric_conditions == []:
            raise ValidationError({"metric_conditions": "Send at least one condition."})
    except (msgspec.ValidationError, TypeError, LookupError, AttributeError):
        return


def _check_anomaly(rule: AlertRule) -> None:
    conditions = rule.metric_conditions
    if len(conditions) + bool(rule.anomaly_config.get("metric_name")) != 1:
        text = "An anomaly rule watches one metric: send one condition, or anomaly_config.metric_name without any."
        raise ValidationError({"metric_conditions" if conditions else "anomaly_config": text})
    if conditions and conditions[0].get("aggregation", "avg") not in ("avg", "max", "min"):
        raise ValidationError({"metric_conditions": "Send aggregation avg, max or min: of others no band is known."})
    if conditions and conditions[0].get("time_window", 300) > 3600:
        raise ValidationError({"metric_conditions": "Send a time_window up to 3600: an hour is compared with hours."})
    if rule.threshold_config.get("recovery_threshold") is not None:
        raise ValidationError({"threshold_config": "An anomaly rule has no recovery_threshold: leave it out."})
    kept = settings.METRIC_RETENTION_DAYS - 1
    if rule_kinds.anomaly_of(rule).baseline_days > kept:
        text = f"Send baseline_days up to {kept}: samples are kept for {kept + 1} days."
        raise ValidationError({"anomaly_config": text})


def _check_absence(rule: AlertRule) -> None:
    asked = rule_kinds.absence_of(rule)
    if not asked.metric_name:
        raise ValidationError({"absence_config": "Send the metric_name that is missed."})
    if (asked.when == "fewer_assets") != (asked.expected_assets is not None):
        raise ValidationError({"absence_config": "Send expected_assets with when fewer_assets, and only then."})


def _check_composite(rule: AlertRule) -> None:
    asked = rule_kinds.composite_of(rule)
    if not asked.parts:
        raise ValidationError({"composite_config": "Send at least one part, or a metric condition."})
    if (asked.require == "at_least") != (asked.at_least is not None):
        raise ValidationError({"composite_config": "Send at_least with require at_least, and only then."})
    if asked.at_least is not None and asked.at_least > len(asked.parts):
        raise ValidationError({"composite_config": f"Send at_least up to {len(asked.parts)}: so many parts there are."})
    if rule.threshold_config.get("recovery_threshold") is not None:
        raise ValidationError({"threshold_config": "A composite rule has no recovery_threshold: leave it out."})
    if wanted := rule_kinds.named_rules(asked):
        _check_named(rule, wanted)


def _check_named(rule: AlertRule, wanted: set[str]) -> None:
    rows = type(rule)._base_manager.exclude(pk=rule.pk)
    known = set(rows.filter(rule_name__in=wanted).values_list("rule_name", flat=True)) | {rule.rule_name}
    if unknown := sorted(wanted - known):
        raise ValidationError({"composite_config": f"No rule is called {unknown[0]!r}; send the names of rules."})
    others = rows.filter(alert_type=AlertType.COMPOSITE).values_list("rule_name", "composite_config")
    asks = {name: rule_kinds.named_rules(msgspec.convert(config, CompositeConfig)) for name, config in others}
    if ring := ring_of(rule.rule_name, asks | {rule.rule_name: wanted}):
        raise ValidationError({"composite_config": f"A rule cannot ask about itself: {' → '.join(ring)}."})


def ring_of(start: str, asks: Mapping[str, set[str]]) -> list[str]:
    """A way from `start` back to it among rules that ask about each other; empty where there is none."""
    ways, seen = [[start]], set()
    while ways:
        way = ways.pop()
        for name in sorted(asks.get(way[-1], ())):
            if name == start:
                return [*way, start]
            if name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return []
