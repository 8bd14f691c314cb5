"""Whether the columns of a rule make one together: what its type needs, and no composite rule that asks itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

import msgspec
from django.conf import settings
from django.core.exceptions import ValidationError

from alerts import rule_kinds
from alerts.conditions import CompositeConfig, Profile, ThresholdConfig
from alerts.models.choices import AlertType
from alerts.suppression.recurrence import Unusable, zone_of

if TYPE_CHECKING:
    from alerts.models.rules import AlertRule


def check(rule: AlertRule) -> None:
    """Raises ValidationError by column. What a column by itself says wrong is left to the column."""
    try:
        _check_profiles(rule)
        _check_flapping(rule)
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


def _check_flapping(rule: AlertRule) -> None:
    marks = msgspec.convert(rule.threshold_config, ThresholdConfig)
    if marks.flapping_high_percent and marks.flapping_low_percent >= marks.flapping_high_percent:
        text = "Send a flapping_low_percent below flapping_high_percent, or 0 as the latter for none."
        raise ValidationError({"threshold_config": text})


def _check_profiles(rule: AlertRule) -> None:
    found = msgspec.convert(rule.profiles, list[Profile])
    for profile in found:
        if problem := _problem_of(profile, rule):
            raise ValidationError({"profiles": f"{profile.name}: {problem}"})
    if len({profile.name for profile in found}) < len(found):
        raise ValidationError({"profiles": "Send each profile with a name of its own."})


def _problem_of(profile: Profile, rule: AlertRule) -> str:
    """What to send instead; empty where nothing is wrong with it."""
    compared = len(rule.metric_conditions) if rule.alert_type in (AlertType.THRESHOLD, AlertType.COMPOSITE) else 0
    changes = (profile.severity, profile.consecutive_breaches, profile.recovery_threshold, profile.sensitivity)
    problems = {
        "send an IANA time zone such as Europe/Berlin.": not _is_zone(profile.timezone),
        "send start and end together.": (profile.start is None) != (profile.end is None),
        "send first_date and last_date, both with a year or both without.": not _are_dates(profile),
        f"send at most {compared} thresholds: so many metric conditions are compared.": len(profile.thresholds)
        > compared,
        "send off, or what it says instead, not both.": profile.off == (bool(profile.thresholds) or any(
            one is not None for one in changes)),
        "only a threshold rule has a recovery_threshold.": profile.recovery_threshold is not None
        and rule.alert_type != AlertType.THRESHOLD,
        "only an anomaly rule has a sensitivity.": profile.sensitivity is not None
        and rule.alert_type != AlertType.ANOMALY,
        "an external rule has no profiles.": rule.alert_type == AlertType.EXTERNAL,
    }  # fmt: skip
    return next((text for text, is_wrong in problems.items() if is_wrong), "")


def _is_zone(name: str) -> bool:
    try:
        zone_of(name)
    except Unusable:
        return False
    return True


def _are_dates(profile: Profile) -> bool:
    first, last = profile.first_date, profile.last_date
    if first is None or last is None:
        return first is last
    try:
        # Of every year: a leap year, which has all days there are.
        ends = [date.fromisoformat(one if len(one) > len("06-01") else f"2024-{one}") for one in (first, last)]
    except ValueError:
        return False
    return len(first) == len(last) and (len(first) == len("06-01") or ends[0] <= ends[1])


def _check_anomaly(rule: AlertRule) -> None:
    conditions = rule.metric_conditions
    if len(conditions) + bool(rule.anomaly_config.get("metric_name")) != 1:
        text = "An anomaly rule watches one metric: send one condition, or anomaly_config.metric_name without any."
        raise ValidationError({"metric_conditions" if conditions else "anomaly_config": text})
    if conditions and conditions[0].get("time_window", 300) > 3600:
        raise ValidationError({"metric_conditions": "Send a time_window up to 3600: an hour is compared with hours."})
    if rule_kinds.anomaly_of(rule).aggregation not in rule_kinds.WITH_A_BAND:
        text = "Send aggregation avg, max or min: of others no band is known."
        raise ValidationError({"metric_conditions" if conditions else "anomaly_config": text})
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
