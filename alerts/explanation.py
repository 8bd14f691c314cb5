"""Where an alert stands by its rule, in words: "3 of 5 breaches", "recovers at 70 % or less"."""

from __future__ import annotations

from datetime import datetime, timedelta

from alerts import conditions, wording
from alerts.findings import terms_of
from alerts.lifecycle import State, Terms
from alerts.models import AlertInstance, AlertRule, AlertType

MOST = 10
# What ends a breach, by the operator that it began with.
_RECOVERS = {
    "gt": "at {} or below",
    "gte": "below {}",
    "lt": "at {} or above",
    "lte": "above {}",
    "eq": "away from {}",
    "ne": "at {}",
}


def of_alert(alert: AlertInstance, rule: AlertRule) -> str:
    """What `alert` waits for; empty for one that is over."""
    terms = terms_of(rule)
    if alert.status == State.RESOLVED:
        return ""
    if alert.status == State.PENDING:
        return f"{_counted(alert, terms)}{_without_data(alert)}."
    if alert.flapping_since:
        marks = terms.flapping
        ends = f"; settles at {marks.low:g} % changes or fewer" if marks else ""
        return f"Flapping since {_clock(alert.flapping_since)}{ends}{_without_data(alert)}."
    parts = [_ending(alert, rule, terms) + _without_data(alert)]
    if terms.auto_resolve and alert.opened_at:
        parts.append(f"Ends at {_clock(alert.opened_at + terms.auto_resolve)} whatever happens")
    return ". ".join(parts) + "."


def of_rule(rule: AlertRule) -> list[tuple[AlertInstance, str]]:
    """The newest live alerts of `rule`, those that are still counted too, and what each waits for."""
    rows = AlertInstance.objects.filter(alert_rule=rule).exclude(status=State.RESOLVED).select_related("asset")
    return [(alert, of_alert(alert, rule)) for alert in rows.order_by("-last_triggered_at")[:MOST]]


def _counted(alert: AlertInstance, terms: Terms) -> str:
    return f"{alert.breach_count} of {terms.consecutive_breaches} breaches in a row"


def _without_data(alert: AlertInstance) -> str:
    return f"; without data since {_clock(alert.missing_since)}" if alert.missing_since else ""


def _ending(alert: AlertInstance, rule: AlertRule, terms: Terms) -> str:
    if alert.clear_since:
        return f"Recovered since {_clock(alert.clear_since)}; ends at {_clock(alert.clear_since + terms.keep_firing)}"
    return f"Recovers {recovery(rule)}{_kept_for(terms.keep_firing)}"


def recovery(rule: AlertRule) -> str:
    """What has to come for an alert of `rule` to be over."""
    if rule.alert_type == AlertType.ANOMALY:
        return "when it is as expected again"
    if rule.alert_type == AlertType.ABSENCE:
        return "when data is back"
    if rule.alert_type == AlertType.COMPOSITE:
        return "when its parts no longer hold"
    found = []
    for number, stored in enumerate(rule.metric_conditions):
        condition = conditions.condition_of(stored)
        own = None if number else rule.threshold_config.get("recovery_threshold")
        limit = wording.number(condition.threshold if own is None else own)
        limit += wording.unit_of(condition.metric_name, "")
        name = f"{wording.metric_title(condition.metric_name)} " if len(rule.metric_conditions) > 1 else ""
        found.append(name + _RECOVERS[condition.operator].format(limit))
    return " or ".join(found)


def _kept_for(length: timedelta) -> str:
    return f" for {wording.span(int(length.total_seconds()))}" if length else ""


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
