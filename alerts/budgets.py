"""How much of its budget of noise a rule has spent in the last week, by SQL.

Noise is an alert of which somebody was told and that was a false positive, as a person said, or that nobody acted on
and that flapped or ended by itself within NOISE_MINUTES.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Exists, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from alerts.models import AlertEvent, AlertInstance, AlertRule, AlertStatus, EventKind, NotificationDelivery
from alerts.models import ResolutionType as Ended
from alerts.noise import WEEK


def by_people() -> Q:
    """Whether a person acted on an alert."""
    return Q(acknowledged_at__isnull=False) | Q(status=AlertStatus.RESOLVED, resolution_type=Ended.MANUAL)


def _noise(alerts: QuerySet[AlertInstance]) -> QuerySet[AlertInstance]:
    within = timedelta(minutes=settings.NOISE_MINUTES)
    shortly = Q(resolution_type=Ended.AUTO, resolved_at__lte=F("first_triggered_at") + within)
    flapped = Exists(AlertEvent.objects.filter(alert=OuterRef("pk"), kind=EventKind.FLAPPING))
    told = Exists(NotificationDelivery.objects.filter(event__alert=OuterRef("pk")))
    return alerts.filter(Q(false_positive=True) | (~by_people() & (shortly | Q(flapped)))).filter(told)


def with_noise(rules: QuerySet[AlertRule], now: datetime) -> QuerySet[AlertRule]:
    """`rules` with `noise`, the number of alerts in the last week that were, and `budget`: by the index of (rule, time)
    for each row that is read."""
    recent = AlertInstance.objects.filter(alert_rule=OuterRef("pk"), first_triggered_at__gt=now - WEEK).order_by()
    counted = _noise(recent).values("alert_rule").annotate(number=Count("pk")).values("number")
    return rules.annotate(
        noise=Coalesce(Subquery(counted), 0, output_field=IntegerField()),
        budget=Coalesce("noise_budget", Value(settings.NOISE_BUDGET)),
    )


def spent(rules: QuerySet[AlertRule], now: datetime, is_spent: bool = True) -> QuerySet[AlertRule]:
    """Those of `rules` whose budget is spent, or those of which it is not."""
    over = Q(budget__gt=0, noise__gte=F("budget"))
    return with_noise(rules, now).filter(over if is_spent else ~over)
