"""One message for many: what a storm is told as."""

from __future__ import annotations

from collections import Counter

from django.conf import settings

from alerts.channels import Message
from alerts.models import EventKind, NotificationDelivery, Severity

MOST_RULES = 10


def message_of(carrier: NotificationDelivery) -> Message:
    """What `carrier` tells of all messages that it carries: how many by severity and by rule, and where to look."""
    rows = NotificationDelivery.objects.filter(told_by=carrier.pk)
    columns = ("event__alert__severity", "event__alert__alert_rule__rule_name", "event__alert__asset__environment")
    told = list(rows.values_list(*columns))
    severities = Counter(severity for severity, _, _ in told)
    rules = Counter(rule for _, rule, _ in told)
    environments = {environment for _, _, environment in told}
    over = carrier.event.kind == EventKind.RESOLVED
    ordered = [one for one in reversed(Severity.values) if severities[one]]
    counts = ", ".join(f"{severities[one]} {one}" for one in ordered)
    lines = [f"{count} × {rule}" for rule, count in rules.most_common(MOST_RULES)]
    if len(rules) > MOST_RULES:
        lines.append(f"and {len(rules) - MOST_RULES} more rules")
    return Message(
        delivery_id=str(carrier.pk),
        event="summary",
        at=carrier.event.at,
        alert_key=f"summary:{carrier.pk}",
        alert_id=str(carrier.pk),
        title=f"{len(told)} alerts {'resolved' if over else 'opened'} at once: {counts}",
        description="\n".join(lines),
        severity=ordered[0],
        status="resolved" if over else "open",
        asset_name="",
        environment=str(environments.pop() or "") if len(environments) == 1 else "",
        rule_name=f"{len(rules)} rules" if len(rules) > 1 else next(iter(rules)),
        trigger_value=None,
        threshold_value=None,
        first_triggered_at=carrier.event.at,
        actor="",
        note="",
        runbook_url="",
        business_impact="",
        link=f"{settings.PUBLIC_URL}/admin/monitoring/alerts{'?status=resolved' if over else ''}",
    )
