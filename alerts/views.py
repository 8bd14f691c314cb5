"""The console's Alerts tab: alerts, what people do with them, and rules."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from alerts import (
    doubts,
    explanation,
    ledger,
    listing,
    naming,
    notification,
    preview,
    profiles,
    selection,
    transitions,
    wording,
)
from alerts.conditions import condition_of
from alerts.forms import AcknowledgeForm, ResolveForm
from alerts.kind_forms import FORMS, form_for
from alerts.models import AlertInstance, AlertRule, AlertType, DeliveryStatus, NotificationDelivery, Severity
from alerts.responses_forms import BulkForm
from alerts.transitions import Refused
from wedsync_monitor import policy
from wedsync_monitor.policy import Verb
from wedsync_monitor.web import htmx
from wedsync_monitor.web.permissions import guarded

STATUSES = (
    ("live", "Open and acknowledged"),
    ("open", "Open"),
    ("acknowledged", "Acknowledged"),
    ("suppressed", "Suppressed"),
    ("resolved", "Resolved"),
    ("all", "All"),
)
SORTS = (("newest", "Newest first"), ("oldest", "Oldest first"), ("severity", "Worst first"))
ORDERS: dict[str, tuple[Any, ...]] = {
    "newest": ("-first_triggered_at",),
    "oldest": ("first_triggered_at",),
    "severity": (listing.SEVERITY_RANK.desc(), "-first_triggered_at"),
}


def lasted(minutes: int) -> str:
    """A duration as lists show it: 12m, 1.5h, 2.0d."""
    if minutes < 60:
        return f"{minutes}m"
    return f"{minutes / 60:.1f}h" if minutes < 1440 else f"{minutes / 1440:.1f}d"


def prepared(alerts: Any, now: datetime) -> list[AlertInstance]:
    """Alerts with what their templates show."""
    shown = list(alerts)
    for alert in shown:
        alert.lasted = lasted(listing.duration_minutes(alert, now))
    return shown


def filtered(request: HttpRequest, environment: str) -> QuerySet[AlertInstance]:
    rows: QuerySet[AlertInstance] = policy.permitted(request.user, Verb.READ, "alerts", _with_delivery())
    rows = rows.exclude(status="pending")
    status = request.GET.get("status", "live")
    if status == "live":
        rows = rows.filter(status__in=listing.LIVE[:2])
    elif status in dict(STATUSES) and status != "all":
        rows = rows.filter(status=status)
    if request.GET.get("severity") in Severity.values:
        rows = rows.filter(severity=request.GET["severity"])
    if environment != "all":
        rows = rows.filter(asset__environment=environment)
    if asset := _uuid(request.GET.get("asset", "")):
        rows = rows.filter(asset_id=asset)
    if q := htmx.text_of(request):
        rows = rows.filter(alert_title__icontains=q)
    if request.GET.get("assigned") == "me" and request.user.is_authenticated:
        rows = rows.filter(assigned_to=request.user)
    return rows


def _with_delivery() -> QuerySet[AlertInstance]:
    """Alerts with whether a message of theirs was given up."""
    failed = NotificationDelivery.objects.filter(event__alert=OuterRef("pk"), status=DeliveryStatus.FAILED)
    return listing.alerts_shown().annotate(undelivered=Exists(failed))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _abilities(request: HttpRequest) -> dict[str, bool]:
    return {
        "may_acknowledge": policy.may(request.user, Verb.ACKNOWLEDGE, "alerts"),
        "may_resolve": policy.may(request.user, Verb.RESOLVE, "alerts"),
        "may_silence": policy.may(request.user, Verb.CREATE, "silences"),
    }


@guarded("alerts", GET=Verb.READ)
def alert_list(request: HttpRequest) -> HttpResponse:
    """Alerts, the newest first."""
    frame = htmx.frame_of(request)
    sort, columns = htmx.sorted_by(request, ORDERS)
    page = htmx.page_of(request, filtered(request, frame["environment"]).order_by(*columns, "pk"))
    page.object_list = prepared(page.object_list, timezone.now())
    chosen = {name: request.GET.get(name, "") for name in ("severity", "asset")}
    chosen |= {"status": request.GET.get("status", "live"), "q": htmx.text_of(request)}
    context = {**frame, **chosen, **_abilities(request), "page": page}
    context["sees_all"] = policy.granted(request.user, Verb.READ, "alerts")
    context["may_read_rules"] = policy.may(request.user, Verb.READ, "alert_rules")
    context["may_read_windows"] = policy.may(request.user, Verb.READ, "maintenance")
    context["may_read_on_call"] = policy.may(request.user, Verb.READ, "on_call")
    context["bulk"], context["bulk_actions"] = context["may_acknowledge"], BulkForm.ACTIONS
    context["may_read_silences"] = policy.may(request.user, Verb.READ, "silences")
    context |= {"statuses": STATUSES, "severities": Severity.choices, "sort": sort, "sorts": SORTS}
    return htmx.respond(request, "alerts/alert_list.html", "alerts/_alerts.html", context)


def alert_for(request: HttpRequest, pk: UUID, verb: Verb = Verb.READ) -> AlertInstance:
    rows = policy.permitted(request.user, verb, "alerts", _with_delivery().exclude(status="pending"))
    found: AlertInstance = get_object_or_404(rows, pk=pk)
    return found


@guarded("alerts", GET=Verb.READ)
def alert_detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One alert: its metric, what happened, who was told."""
    alert = prepared([alert_for(request, pk)], timezone.now())[0]
    metric = alert.context_data.get("metric_name", "")
    drawable = alert.asset_id and policy.may(request.user, Verb.READ, "assets")
    may_change_rules = policy.may(request.user, Verb.CHANGE, "alert_rules")
    deliveries = list(NotificationDelivery.objects.filter(event__alert=alert).select_related("event"))
    for delivery in deliveries:
        delivery.shown_channel = naming.shown_channel(delivery.channel)  # type: ignore[attr-defined]
    ledger_page = htmx.page_of(request, ledger.lines(alert))
    context = {
        "alert": alert,
        "ledger_page": ledger_page,
        "ledger": ledger.entries(ledger_page),
        "explanation": explanation.of_alert(alert, profiles.applied(alert.alert_rule, timezone.now())),
        "events": alert.events.select_related("actor"),
        "deliveries": deliveries,
        "asset_url": reverse("console:asset-metrics", args=[alert.asset_id]) if drawable else "",
        "rule_url": reverse("console:rule", args=[alert.alert_rule_id]) if may_change_rules else "",
        "chart_threshold": _line_of(alert, metric),
        "chart_title": wording.metric_title(metric),
        "chart_url": _chart_of(alert, metric) if drawable and metric else "",
        **_abilities(request),
    }
    return htmx.respond(request, "alerts/alert_detail.html", "alerts/_detail.html", context)


def _chart_of(alert: AlertInstance, metric: str) -> str:
    """Where the chart's values are: of an anomaly rule what it watched with its band, else the metric of the asset."""
    if alert.alert_rule.alert_type == AlertType.ANOMALY:
        return f"{reverse('alert-chart', args=[alert.pk])}?{urlencode(_time_of(alert))}"
    return f"{reverse('asset-chart', args=[alert.asset_id])}?{urlencode({'metric': metric, **_time_of(alert)})}"


def _line_of(alert: AlertInstance, metric: str) -> str:
    """The threshold to draw. Of sums and counts of samples there is none: the chart shows the samples themselves; of
    anomaly rules there is a band."""
    if alert.alert_rule.alert_type == AlertType.ANOMALY:
        return ""
    comparable = any(
        one.metric_name == metric and one.aggregation in ("avg", "max", "min")
        for one in map(condition_of, alert.alert_rule.metric_conditions)
    )
    return str(alert.threshold_value) if comparable and alert.threshold_value is not None else ""


def _time_of(alert: AlertInstance) -> dict[str, str]:
    """The span to draw: the last hours, or those around an alert that is over."""
    if alert.resolved_at is None:
        return {"range": "6h"}
    margin = timedelta(hours=1)
    return {
        "from": (alert.first_triggered_at - margin).isoformat(),
        "to": min(alert.resolved_at + margin, timezone.now()).isoformat(),
    }


def _sent(request: HttpRequest) -> QueryDict | None:
    """What a form was sent with, also where that is nothing; None where it is only opened."""
    return request.POST if request.method == "POST" else None


def dialog(
    request: HttpRequest, alert: AlertInstance, form: forms.Form, heading: str, submit: str, testid: str
) -> HttpResponse:
    context = {"alert": alert, "form": form, "heading": heading, "submit": submit, "submit_testid": testid}
    return htmx.respond(request, "alerts/alert_dialog.html", "alerts/_dialog.html", context)


def done(request: HttpRequest, text: str, level: str = "success") -> HttpResponse:
    """Close the dialog, say so, and refresh the list; without JavaScript, go back to the list."""
    if not request.htmx:  # type: ignore[attr-defined]
        messages.add_message(request, messages.SUCCESS if level == "success" else messages.ERROR, text)
        return redirect("console:alerts")
    toast = {"text": text, "level": level}
    return htmx.with_events(HttpResponse(), toast=toast, closeDialog=True, refresh=True)


@guarded("alerts", GET=Verb.ACKNOWLEDGE, POST=Verb.ACKNOWLEDGE)
def alert_acknowledge(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Take an alert on, with a note."""
    alert, form = alert_for(request, pk, Verb.ACKNOWLEDGE), AcknowledgeForm(_sent(request))
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            transitions.acknowledge(pk, request.user, said["note"], said["estimated_minutes"], timezone.now())  # type: ignore[arg-type]
        except Refused as error:
            return done(request, f"{str(error).capitalize()}.", "danger")
        return done(request, "Alert acknowledged")
    return dialog(request, alert, form, "Acknowledge alert", "Acknowledge", "submit-ack")


@guarded("alerts", GET=Verb.RESOLVE, POST=Verb.RESOLVE)
def alert_resolve(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Declare an alert over."""
    alert, form = alert_for(request, pk, Verb.RESOLVE), ResolveForm(_sent(request))
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            transitions.resolve(
                pk,
                request.user,  # type: ignore[arg-type]
                "manual",
                said["notes"],
                timezone.now(),
                root_cause=said["root_cause"],
                false_positive=said["false_positive"],
            )
        except Refused as error:
            return done(request, f"{str(error).capitalize()}.", "danger")
        return done(request, "Alert resolved")
    return dialog(request, alert, form, "Resolve alert", "Resolve", "submit-resolve")


@guarded("alert_rules", GET=Verb.READ)
def rule_list(request: HttpRequest) -> HttpResponse:
    """Rules with their last evaluation."""
    readable = policy.permitted(request.user, Verb.READ, "alert_rules", AlertRule.objects.order_by("rule_name"))
    page = htmx.page_of(request, readable)
    rules = listing.rules_with_triggers(timezone.now()).filter(pk__in=[rule.pk for rule in page]).order_by("rule_name")
    page.object_list = list(rules)
    assets = selection.active_assets()
    for rule in page:
        rule.doubts = doubts.of_rule(rule, assets)
        rule.limits = wording.limits(rule)
        rule.profile_names = ", ".join(one["name"] for one in rule.profiles)
    may = policy.may(request.user, Verb.CHANGE, "alert_rules")
    may_configure = policy.may(request.user, Verb.READ, "configuration")
    context = {**htmx.frame_of(request), "page": page, "may_manage": may, "may_configure": may_configure}
    return htmx.respond(request, "alerts/rule_list.html", "alerts/_rules.html", context)


def _edit_rule(request: HttpRequest, rule: AlertRule, heading: str) -> HttpResponse:
    form = form_for(rule)(_sent(request), instance=rule)
    if request.method == "POST" and form.is_valid():
        if rule._state.adding:
            form.instance.created_by = request.user  # type: ignore[assignment]
        form.save()
        messages.success(request, f"{form.instance.rule_name} is saved.")
        return redirect("console:rules")
    text = "When metrics mean trouble, and who is told"
    context = {"form": form, "heading": heading, "text": text, "back": reverse("console:rules")}
    if rule.alert_type in preview.TRIED:
        new = rule._state.adding
        url = reverse("console:rule-preview", args=[] if new else [rule.pk])
        context["preview_url"] = f"{url}?{urlencode({'type': rule.alert_type})}" if new else url
    if not rule._state.adding:
        stored = AlertRule.objects.select_related("evaluation").get(pk=rule.pk)
        context |= {
            "rule": stored,
            "standing": explanation.of_rule(profiles.applied(stored, timezone.now())),
            "doubts": doubts.of_rule(stored, selection.active_assets()),
        }
    return render(request, "alerts/rule_form.html", context, status=422 if form.errors else 200)


@guarded("alert_rules", GET=Verb.CREATE, POST=Verb.CREATE)
def rule_new(request: HttpRequest) -> HttpResponse:
    """Make a rule: of the type that the address asks for, of thresholds otherwise."""
    kind = request.GET.get("type", "")
    with transaction.atomic():
        rule = AlertRule(alert_type=kind) if kind in FORMS else AlertRule()
        return _edit_rule(request, rule, "New alert rule")


@guarded("alert_rules", GET=Verb.CHANGE, POST=Verb.CHANGE)
def rule_edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Change a rule."""
    with transaction.atomic():
        # Held while it is changed, so that a change over REST at the same time is not undone.
        held = AlertRule.objects.select_for_update() if request.method == "POST" else AlertRule.objects.all()
        rule = get_object_or_404(policy.permitted(request.user, Verb.CHANGE, "alert_rules", held), pk=pk)
        return _edit_rule(request, rule, f"Rule {rule.rule_name}")


@guarded("alert_rules", GET=Verb.CHANGE, POST=Verb.CHANGE)
def rule_test(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Send a test message to each channel of a rule as it is stored, and say how that went. Whoever had to sign in
    again first comes back by GET: to the rule, where the button is."""
    rows = policy.permitted(request.user, Verb.CHANGE, "alert_rules", AlertRule.objects.all())
    rule = get_object_or_404(rows, pk=pk)
    if request.method == "POST":
        _tell_trials(request, rule)
    return redirect("console:rule", pk=pk)


def _tell_trials(request: HttpRequest, rule: AlertRule) -> None:
    trials = notification.send_test(rule, request.user, timezone.now())  # type: ignore[arg-type]
    for channel, trial in zip(rule.notification_channels, trials, strict=True):
        name = naming.shown_channel(channel)
        if trial.delivered:
            messages.success(request, f"Test message to {name}: delivered.")
        else:
            messages.error(request, f"Test message to {name}: not delivered. {trial.error}")
    if not trials:
        messages.warning(request, "No test message was sent: the rule has no recipient.")
