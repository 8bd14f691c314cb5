"""The demonstration's alerts: what opened, who took it on, how it ended, who was told, what was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from django.contrib.auth.models import Group

from alerts import naming, transitions, wording
from alerts.conditions import condition_of
from alerts.lifecycle import Event
from alerts.models import AlertEvent, AlertInstance, AlertRule, NotificationDelivery
from alerts.transitions import Happening
from assets.models import InfrastructureAsset
from remediation.models import RemediationAction, RemediationExecution
from wedsync_monitor.embedded.demonstration.platform import MARK, Incident
from wedsync_monitor.models import User
from wedsync_monitor.policy import Role

# An average over five minutes breaches some minutes after the trouble begins, and is over some minutes after it ends.
NOTICED_AFTER = timedelta(minutes=4)
LIVE = ("open", "acknowledged", "suppressed", "pending")
CHANNELS = {
    "email-0": {"type": "email", "config": {"recipients": ["on-call@wedsync.example"]}},
    "webhook-1": {"type": "webhook", "config": {"url": "https://chat.wedsync.example/hooks/operations"}},
}
ACTIONS = {
    "demo: restart the RSVP service": ("restart_service", {"service_name": "rsvp"}, "low"),
    "demo: restart the seating planner": ("restart_service", {"service_name": "seating-planner"}, "low"),
    "demo: add a web server": ("scale_resource", {"resource_type": "web", "scaling_action": "scale_up"}, "medium"),
    "demo: queue payments": ("api_call", {"api_endpoint": "https://payments.wedsync.example/mode"}, "medium"),
    "demo: clean up old albums": ("script", {"script_path": "/opt/wedsync/clean-albums"}, "medium"),
    "demo: fail over the booking database": ("failover", {}, "high"),
}


def is_told() -> bool:
    """Whether the demonstration's history is there; the evaluator never writes on alerts that are over."""
    return AlertInstance.objects.filter(status="resolved", context_data__demonstration=True).exists()


def tell(assets: Mapping[str, InfrastructureAsset], happened: Sequence[Incident]) -> None:
    """Write the alerts of what happened, with all that followed."""
    _make_rules()
    people, actions = _people(), _make_actions(assets)
    rules = {rule.rule_name: rule for rule in AlertRule.objects.all()}
    for number, incident in enumerate(happened):
        rule, asset = rules.get(incident.rule), assets[incident.host]
        if rule is None or (incident.outcome in LIVE and _is_live(rule, asset)):
            continue
        person = people[number % len(people)]
        alert = _alert(incident, rule, asset, person)
        _load(alert, incident, person)
        if incident.remediation:
            _execution(actions[incident.remediation], alert, number, person)


def _people() -> list[User]:
    """Who works here; nobody can sign in as them."""
    found = []
    for name, role in (("demo-ana", Role.SRE), ("demo-ben", Role.OPS_ENGINEER)):
        person, made = User.objects.get_or_create(username=name, defaults={"last_name": "(demonstration)"})
        if made:
            person.set_unusable_password()
            person.save()
            person.groups.add(Group.objects.get_or_create(name=role.value)[0])
        found.append(person)
    return found


def _make_rules() -> None:
    """Two rules of the demonstration's own, beside those that every installation starts with."""
    chosen = {"tags": dict([MARK.split(":")])}
    success = {"metric_name": "booking_success_percent", "operator": "lt", "threshold": 97, "aggregation": "avg"}
    memory = {"metric_name": "memory_usage_percent", "operator": "gt", "threshold": 80, "aggregation": "avg"}
    AlertRule.objects.get_or_create(
        rule_name="Bookings fail (demonstration)",
        defaults={
            "asset_filter": chosen,
            "metric_conditions": [success],
            "severity": "medium",
            "threshold_config": {"recovery_threshold": 98},
            "business_impact": "Couples cannot book what they have chosen.",
        },
    )
    AlertRule.objects.get_or_create(
        rule_name="Memory creeps up (demonstration)",
        defaults={
            "asset_filter": chosen,
            "metric_conditions": [memory],
            "severity": "low",
            "threshold_config": {"consecutive_breaches": 240},
        },
    )


def _is_live(rule: AlertRule, asset: InfrastructureAsset) -> bool:
    return AlertInstance.objects.filter(alert_rule=rule, asset=asset).exclude(status="resolved").exists()


def _alert(incident: Incident, rule: AlertRule, asset: InfrastructureAsset, person: User) -> AlertInstance:
    condition = condition_of(rule.metric_conditions[0])
    title, description = wording.describe(rule, condition, asset.asset_name, incident.value, None)
    opened = incident.began + NOTICED_AFTER
    taken = opened + incident.acknowledged_after if incident.acknowledged_after else None
    alert = AlertInstance(
        alert_rule=rule,
        asset=asset,
        # The evaluator's own key: it goes on with what is live.
        alert_key=f"{rule.pk}:{asset.pk}",
        alert_title=title,
        alert_description=f"{description} (Demonstration.)",
        severity=rule.severity,
        trigger_value=incident.value,
        threshold_value=condition.threshold,
        context_data={"metric_name": incident.metric, "demonstration": True},
        first_triggered_at=opened,
        last_triggered_at=incident.ended or opened,
        breach_count=1,
        opened_at=None if incident.outcome == "pending" else opened,
        acknowledged_at=taken,
        acknowledged_by=person if taken else None,
    )
    if incident.ended:
        alert.resolved_at = incident.ended + NOTICED_AFTER
        alert.resolution_type = incident.outcome
        alert.resolved_by = person if incident.outcome == "manual" else None
        alert.resolution_notes = incident.note if incident.outcome == "manual" else None
    return alert


def _load(alert: AlertInstance, incident: Incident, person: User) -> None:
    """Write the alert and its events as alerting would have."""
    first = {"pending": Event.PENDING, "suppressed": Event.SUPPRESSED}.get(incident.outcome, Event.OPENED)
    happened = [Happening(first, alert.first_triggered_at)]
    if alert.acknowledged_at:
        note = incident.note if incident.outcome == "acknowledged" else ""
        happened.append(Happening(Event.ACKNOWLEDGED, alert.acknowledged_at, person, note))
    if alert.resolved_at:
        note = alert.resolution_notes or ""
        happened.append(Happening(Event.RESOLVED, alert.resolved_at, alert.resolved_by, note))
    events = transitions.load(alert, happened, demonstration=True)
    if alert.resolved_at:
        # What is live has told nobody: its end would be told in earnest to whom its beginning was.
        for event in (events[0], events[-1]):
            _deliveries(event, alert)


def _deliveries(event: AlertEvent, alert: AlertInstance) -> None:
    """Both channels were told; the chat was away on one evening of the month."""
    for key, channel in CHANNELS.items():
        failed = key == "webhook-1" and alert.alert_rule.rule_name == "High error rate"
        row = NotificationDelivery.objects.create(
            event=event,
            channel_key=naming.channel_key(channel),
            channel=channel,
            status="failed" if failed else "delivered",
            attempts=9 if failed else 1,
            next_attempt_at=event.at,
            last_error="HTTP 502 Bad Gateway" if failed else "",
            delivered_at=None if failed else event.at + timedelta(seconds=2),
        )
        NotificationDelivery.objects.filter(pk=row.pk).update(created_at=event.at)


def _make_actions(assets: Mapping[str, InfrastructureAsset]) -> dict[str, RemediationAction]:
    """Switched off, so that nothing of the demonstration ever runs on this machine."""
    targets = [str(asset.pk) for asset in assets.values() if asset.environment == "production"]
    found = {}
    for name, (kind, config, risk) in ACTIONS.items():
        found[name], _ = RemediationAction.objects.get_or_create(
            action_name=name,
            defaults={
                "action_type": kind,
                "action_config": config,
                "target_assets": targets,
                "risk_level": risk,
                "approval_required": risk == "high",
                "business_impact": "A demonstration: nothing is run.",
                "is_enabled": False,
            },
        )
    return found


def _execution(action: RemediationAction, alert: AlertInstance, number: int, person: User) -> None:
    status = ("completed", "completed", "failed", "completed", "timeout", "completed", "cancelled")[number % 7]
    started = alert.first_triggered_at + timedelta(seconds=20)
    is_done = status == "completed"
    RemediationExecution.objects.create(
        action=action,
        alert_instance=alert,
        execution_trigger="manual" if alert.acknowledged_at else "alert",
        triggered_by=person if alert.acknowledged_at else None,
        started_at=started,
        completed_at=started + timedelta(seconds=300 if status == "timeout" else 38),
        status=status,
        exit_code={"completed": 0, "failed": 1}.get(status),
        execution_output=f"{action.action_name}: {'done' if is_done else 'begun'}\n",
        error_message={"failed": "the service did not come back", "timeout": "not done within 300 s"}.get(status),
        execution_context={"demonstration": True, "asset": alert.asset.asset_name if alert.asset else ""},
        success_verification={"verified": is_done},
    )
