"""What others find becomes an alert as ours do: through the same transitions, silences, windows and messages.

1. What was said is written down by its set of labels, with the time until which it holds.
2. Whatever is said, or is over because nobody said it again, is observed like the finding of a rule of our own.
3. What was written down goes when its alert is over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from copy import copy
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from alerts import findings, transitions
from alerts.external import wire
from alerts.external.wire import Posted
from alerts.lifecycle import Finding, Observation, State
from alerts.models import AlertInstance, AlertRule, AlertType, ExternalAlert
from alerts.selection import active_assets
from alerts.suppression import matching, standing
from alerts.suppression.standing import Standing
from alerts.transitions import Outcome, Subject
from assets.models import InfrastructureAsset

# The rule that new ones are made after: who is told, escalation, suppression.
PATTERN = "External alerts"
# How long an alert holds whose sender does not say.
HOLDS = timedelta(minutes=5)
MAX_RULES = 1000
BATCH = 5000
# Prometheus keeps what it fires in this series; a rule without any condition cannot be stored.
CONDITIONS = [{"metric_name": "ALERTS", "operator": "gt", "threshold": 0}]


class Refused(Exception):
    """Nothing was taken; the text says what to do about it."""


def receive(posted: Sequence[Posted], now: datetime) -> int:
    """Take what was said at `now`; answers how many messages became due. Raises Refused."""
    rules = _rules({one.alertname: one.severity for one in posted})
    assets = _assets({host for one in posted for host in one.hosts})
    said = {row.alert_key: row for row in (_row(one, rules[one.alertname], assets, now) for one in posted)}
    # In one order everywhere, so that two senders never wait for each other in a ring.
    ExternalAlert.objects.bulk_create(
        [said[key] for key in sorted(said)],
        update_conflicts=True,
        unique_fields=["alert_key"],
        update_fields=["asset", "severity", "annotations", "generator_url", "starts_at", "ends_at"],
    )
    return _observe(ExternalAlert.objects.filter(pk__in=list(said)).select_related("rule", "asset"), now)


def settle(now: datetime) -> int:
    """End what nobody said again in time, or whose rule was switched off; answers how many messages became due."""
    over = ExternalAlert.objects.filter(Q(ends_at__lte=now) | Q(rule__is_enabled=False))
    return _observe(over.select_related("rule", "asset").order_by("ends_at")[:BATCH], now)


def _rules(named: dict[str, str]) -> dict[str, AlertRule]:
    """The rule of each alert name; one that is new gets it with the severity given."""
    names = {f"{name} (external)": name for name in named}
    found = {
        names[rule.rule_name]: rule
        for rule in AlertRule.objects.filter(rule_name__in=names, alert_type=AlertType.EXTERNAL)
    }
    missing = [name for name in named if name not in found]
    if not missing:
        return found
    if AlertRule.objects.filter(alert_type=AlertType.EXTERNAL).count() + len(missing) > MAX_RULES:
        raise Refused(f"there are rules for {MAX_RULES} external alerts; delete those that are not needed any more")
    pattern = _rule_named(PATTERN, rule_description="New rules of external alerts are made after this one.")
    copied = {
        "notification_channels": pattern.notification_channels,
        "suppression_config": pattern.suppression_config,
        "escalation_policy": pattern.escalation_policy,
    }
    for name in missing:
        text = f"Found elsewhere and sent here as {name}."
        found[name] = _rule_named(f"{name} (external)", rule_description=text, severity=named[name], **copied)
    return found


def _rule_named(name: str, **columns: object) -> AlertRule:
    defaults = {"alert_type": AlertType.EXTERNAL, "metric_conditions": CONDITIONS} | columns
    rule = AlertRule.objects.get_or_create(rule_name=name, defaults=defaults)[0]
    if rule.alert_type != AlertType.EXTERNAL:
        raise Refused(f"the rule {name} is of type {rule.alert_type}; give it another name, or the type external")
    return rule


def _assets(names: Collection[str]) -> dict[str, UUID]:
    rows = InfrastructureAsset.objects.filter(is_active=True, asset_name__in=names)
    return dict(rows.values_list("asset_name", "pk"))


def _row(one: Posted, rule: AlertRule, assets: dict[str, UUID], now: datetime) -> ExternalAlert:
    return ExternalAlert(
        alert_key=f"{rule.pk}:{wire.fingerprint(one.labels)}",
        rule=rule,
        asset_id=next((assets[name] for name in one.hosts if name in assets), None),
        severity=one.severity,
        labels=one.labels,
        annotations=one.annotations,
        generator_url=one.generator_url,
        starts_at=one.starts_at,
        ends_at=one.ends_at or now + HOLDS,
    )


def _observe(rows: Iterable[ExternalAlert], now: datetime) -> int:
    said = list(rows)
    if not said:
        return 0
    live, shared, outcome = _live(said), standing.at(now, active_assets()), Outcome()
    places = {asset_id: place for place, asset_id in enumerate(shared.assets.ids)}
    found = [(_subject(row, shared, places, now), live.get(row.alert_key)) for row in said]
    transitions.observe(found, now, lambda rules: rules, outcome)
    over = [row.alert_key for row in said if not _lasts(row, now)]
    if over:
        # One that is kept firing for a while is looked at again.
        left = _live([row for row in said if not _lasts(row, now)])
        done = [key for key in over if key not in left]
        ExternalAlert.objects.filter(Q(ends_at__lte=now) | Q(rule__is_enabled=False), pk__in=done).delete()
    return outcome.messages


def _live(rows: Sequence[ExternalAlert]) -> dict[str, AlertInstance]:
    alerts = AlertInstance.objects.filter(alert_key__in=[row.alert_key for row in rows])
    return {alert.alert_key: alert for alert in alerts.exclude(status=State.RESOLVED)}


def _lasts(row: ExternalAlert, now: datetime) -> bool:
    return row.rule.is_enabled and row.ends_at > now


def _subject(row: ExternalAlert, shared: Standing, places: dict[UUID, int], now: datetime) -> Subject:
    # The alert is as severe as its sender says, whatever others of its name are.
    rule = copy(row.rule)
    rule.severity = row.severity
    place = places.get(row.asset_id) if row.asset_id else None
    observation = Observation(
        Finding.BREACHED if _lasts(row, now) else Finding.CLEARED,
        _silenced(row, shared) if place is None else shared.reason(rule, place, row.labels),
    )
    name, asset = row.labels["alertname"], row.asset.asset_name if row.asset else row.labels.get("instance", "")
    title = row.annotations.get("summary") or row.annotations.get("title") or f"{name} on {asset}".removesuffix(" on ")
    text = row.annotations.get("description") or row.annotations.get("message") or f"{name} was found elsewhere."
    context = {
        "labels": row.labels,
        "annotations": row.annotations,
        "generator_url": row.generator_url,
        "starts_at": row.starts_at.isoformat() if row.starts_at else None,
    }
    return Subject(
        rule, row.asset_id, observation, findings.terms_of(rule), title[:500], text, context=context, key=row.alert_key
    )


def _silenced(row: ExternalAlert, shared: Standing) -> str:
    """Why nobody is told of an alert that is on no asset of ours: silences alone can know of it."""
    labels = row.labels | {"rule": row.rule.rule_name, "severity": row.severity, "alert_type": row.rule.alert_type}
    return next((why for why, matchers in shared.silences if matching.matches(matchers, labels)), "")
