"""The console's Alerts tab: the list, what people do with an alert, and rules, for each role."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse

from alerts.models import AlertInstance, AlertRule, RuleEvaluation
from alerts.policy import RESPONDERS
from alerts.views import lasted
from tests.pages import HTMX, Page, opened, queries_of
from tests.wedsync_monitor import stored
from wedsync_monitor import secrets
from wedsync_monitor.models import AuditEntry
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
URL = "/admin/monitoring/alerts"
RULES = "/admin/monitoring/alerts/rules"
NOTE = "Investigating high CPU usage on web server"
RULE = {
    "rule_name": "high-cpu-usage", "severity": "high", "evaluation_frequency": "60", "is_enabled": "on",
    "metric_name": "cpu_usage_percent", "aggregation": "avg", "operator": "gt", "threshold": "80",
    "time_window": "300", "consecutive_breaches": "2", "environments": ["production"], "asset_types": ["server"],
    "email_recipients": "ops@wedsync.com, on-call@wedsync.com",
}  # fmt: skip


@pytest.fixture
def sre(signed_in):
    return signed_in(Role.SRE)


@pytest.fixture
def trouble(asset, now):
    """Make an alert: `trouble("Disk is full", severity="critical")`."""
    number = iter(range(100))

    def make(title="CPU usage is 95 %", **columns):
        place = next(number)
        where = columns.pop("where", None) or asset(
            f"web-{place}", environment=columns.pop("environment", "production")
        )
        rule = AlertRule.objects.create(rule_name=f"rule {place}", metric_conditions=[stored.CONDITION])
        since = now - timedelta(minutes=columns.pop("minutes", 5))
        defaults = {"severity": "high", "first_triggered_at": since, "last_triggered_at": now}
        defaults["resolved_at"] = now if columns.get("status") == "resolved" else None
        return AlertInstance.objects.create(
            alert_rule=rule, asset=where, alert_key=f"key {place}", alert_title=title, **(defaults | columns)
        )

    return make


def act(name, alert):
    return reverse(f"console:alert-{name}", args=[alert.pk])


@pytest.mark.parametrize(("minutes", "text"), [(0, "0m"), (59, "59m"), (60, "1.0h"), (90, "1.5h"), (2880, "2.0d")])
def test_durations_are_short(minutes, text):
    assert lasted(minutes) == text


def test_an_alert_is_listed_with_its_asset_rule_and_duration(sre, trouble):
    alert = trouble("CPU usage is 95 %", minutes=90)
    page = opened(sre, URL)
    for text in ("HIGH", "CPU usage is 95 %", "web-0 • production • rule 0", "open", "1.5h"):
        assert text in page.text
    assert reverse("console:alert", args=[alert.pk]) in page.links


@pytest.mark.parametrize("role", Role)
def test_only_responders_are_offered_to_act(signed_in, trouble, role):
    alert, client, responds = trouble(), signed_in(role), role in RESPONDERS
    page = opened(client, URL)
    assert ({"acknowledge-alert-btn", "resolve-alert-btn"} <= set(page.testids)) is responds
    assert ("acknowledge-alert-btn" in page.testids) is responds
    for name in ("acknowledge", "resolve"):
        assert client.get(act(name, alert)).status_code == (200 if responds else 403)
        assert client.post(act(name, alert), {"note": NOTE}).status_code == (302 if responds and name[0] == "a" else
                                                                           200 if responds else 403)  # fmt: skip


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        ("open", {"acknowledge-alert-btn", "resolve-alert-btn"}),
        ("acknowledged", {"resolve-alert-btn"}),
        ("suppressed", {"resolve-alert-btn"}),
        ("resolved", set()),
    ],
)
def test_only_what_can_still_be_done_is_offered(sre, trouble, status, offered):
    trouble(status=status)
    page = opened(sre, URL, {"status": "all"})
    assert set(page.testids) & {"acknowledge-alert-btn", "resolve-alert-btn"} == offered


def test_a_person_without_a_role_sees_the_alerts_on_their_own_assets_and_does_nothing(
    signed_in, person, asset, trouble
):
    someone = person()
    mine, other = trouble("mine", where=asset("own", created_by=someone)), trouble("not mine")
    client = signed_in(user=someone)
    page = opened(client, URL)
    assert "mine" in page.text
    assert "not mine" not in page.text
    assert not set(page.testids) & {"acknowledge-alert-btn", "resolve-alert-btn"}
    detail = opened(client, reverse("console:alert", args=[mine.pk]))
    assert "data-chart-url" not in detail.html
    assert client.get(reverse("console:alert", args=[other.pk])).status_code == 404
    assert client.post(act("acknowledge", mine), {}).status_code == 403
    assert RULES not in page.links


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["new", "worst", "old"]),
        ({"status": "open"}, ["new", "worst"]),
        ({"status": "acknowledged"}, ["old"]),
        ({"status": "resolved"}, ["over"]),
        ({"status": "all"}, ["new", "worst", "old", "over"]),
        ({"status": "pending"}, ["new", "worst", "old", "over"]),
        ({"severity": "critical"}, ["worst"]),
        ({"environment": "staging"}, ["old"]),
        ({"q": "WOR"}, ["worst"]),
        ({"sort": "oldest"}, ["old", "worst", "new"]),
        ({"sort": "severity"}, ["worst", "new", "old"]),
        ({"sort": "password", "asset": "x", "page": "-1"}, ["new", "worst", "old"]),
    ],
)
def test_filter_search_and_order_are_in_the_url(sre, trouble, query, expected):
    trouble("old", minutes=30, status="acknowledged", environment="staging", severity="low")
    trouble("worst", minutes=20, severity="critical")
    trouble("new", minutes=10, severity="medium")
    trouble("over", minutes=40, status="resolved")
    trouble("nobody was told", status="pending")
    listed = sre.get(URL, query, headers=HTMX).context["page"].object_list
    assert [alert.alert_title for alert in listed] == expected


def test_no_alerts_says_so(sre):
    assert "No alerts" in opened(sre, URL).text


def test_nobody_is_told_that_all_is_quiet_who_may_not_see(signed_in, trouble):
    trouble()
    page = opened(signed_in(), URL)
    assert "Your account has no role yet: ask an administrator" in page.text
    assert "alerts on assets that you created" in page.text
    assert "quiet" not in page.text


def test_an_alert_whose_message_was_given_up_is_marked(sre):
    delivery = stored.delivery(1)
    assert "not delivered" not in opened(sre, URL).text
    delivery.status = "failed"
    delivery.save()
    assert "not delivered" in opened(sre, URL).text


def test_htmx_gets_the_rows_and_everybody_else_the_page(sre, trouble):
    trouble()
    part, page = opened(sre, URL, htmx=True), opened(sre, URL)
    assert not part.is_whole
    assert page.is_whole
    assert part.html in page.html


def test_a_list_asks_no_more_for_thirty_alerts_than_for_three(sre):
    for number in range(3):
        stored.alert(number)
    few = queries_of(sre, URL)
    for number in range(3, 30):
        stored.alert(number)
    assert queries_of(sre, URL) == few <= 8


def test_an_alert_is_acknowledged_in_the_dialog(signed_in, person, trouble):
    ann, alert = person(Role.SRE, username="ann"), trouble()
    client = signed_in(user=ann)
    dialog = opened(client, act("acknowledge", alert), htmx=True)
    assert not dialog.is_whole
    assert "Acknowledgment Note" in dialog.text
    assert {"ack-note", "submit-ack"} <= set(dialog.testids)
    answer = client.post(act("acknowledge", alert), {"note": NOTE, "estimated_minutes": "30"}, headers=HTMX)
    assert '"text": "Alert acknowledged"' in answer["HX-Trigger"]
    assert '"closeDialog": true' in answer["HX-Trigger"]
    alert.refresh_from_db()
    assert (alert.status, alert.acknowledged_by) == ("acknowledged", ann)
    detail = opened(client, reverse("console:alert", args=[alert.pk]))
    assert NOTE in detail.text
    assert "Acknowledged by ann" in detail.text


def test_the_dialogs_are_pages_where_there_is_no_javascript(sre, trouble):
    alert = trouble()
    links = opened(sre, URL).links
    for name, sent, text in (
        ("acknowledge", {}, "Alert acknowledged"),
        ("resolve", {"notes": "Restarted."}, "Alert resolved"),
    ):
        assert act(name, alert) in links
        page = opened(sre, act(name, alert))
        assert page.is_whole
        assert "hx-post" not in page.html
        assert text in Page(sre.post(act(name, alert), sent, follow=True)).text
    alert.refresh_from_db()
    assert (alert.status, alert.resolution_notes) == ("resolved", "Restarted.")


@pytest.mark.parametrize(
    ("name", "sent", "field", "says"),
    [
        ("acknowledge", {"note": NOTE, "estimated_minutes": "0"}, "estimated_minutes", "greater than or equal to 1"),
        ("acknowledge", {"note": "n" * 5001}, "note", "at most 5000"),
        ("acknowledge", {"note": "a\0b"}, "note", "Null characters"),
        ("resolve", {"root_cause": "A full disk"}, "notes", "required"),
        ("resolve", {}, "notes", "required"),
    ],
)
def test_bad_input_stays_in_the_dialog_with_what_was_typed(sre, trouble, name, sent, field, says):
    alert = trouble()
    page = Page(sre.post(act(name, alert), sent, headers=HTMX))
    assert says in page.beside(field)
    assert all(text.replace("\0", "") in page.html.replace("\0", "") for text in sent.values())
    alert.refresh_from_db()
    assert alert.status == "open"


def test_what_came_too_late_is_told(sre, trouble):
    alert = trouble(status="resolved")
    answer = sre.post(act("acknowledge", alert), {}, headers=HTMX)
    assert '"level": "danger"' in answer["HX-Trigger"]
    assert "Alert acknowledged" not in answer["HX-Trigger"]


@pytest.mark.parametrize("status", [None, "pending"])
def test_an_alert_that_there_is_not_is_a_404(sre, trouble, status):
    pk = trouble(status=status).pk if status else uuid4()
    for name in ("alert", "alert-acknowledge", "alert-resolve"):
        assert sre.get(reverse(f"console:{name}", args=[pk])).status_code == 404


def test_the_page_of_an_alert_tells_what_happened_and_who_was_told(sre):
    delivery = stored.delivery(1)
    alert = delivery.event.alert
    url = reverse("console:alert", args=[alert.pk])
    page = opened(sre, url)
    for text in (alert.alert_title, "Timeline", "Opened", "Who was told", "webhook hooks.example.com", "queued"):
        assert text in page.text
    assert stored.SECRET not in page.html
    part = opened(sre, url, htmx=True)
    assert not part.is_whole
    assert part.html in page.html


def test_the_page_of_an_alert_leads_to_its_asset_rule_and_runbook(signed_in, trouble):
    alert = trouble(threshold_value=80.0, context_data={"metric_name": "cpu_usage_percent"})
    alert.alert_rule.runbook_url = "https://wiki.wedsync.com/cpu"
    alert.alert_rule.save()
    url, rule = (
        reverse(f"console:{name}", args=[one.pk]) for name, one in (("alert", alert), ("rule", alert.alert_rule))
    )
    page = opened(signed_in(Role.SRE), url)
    metrics = reverse("console:asset-metrics", args=[alert.asset_id])
    assert {metrics, rule, "https://wiki.wedsync.com/cpu"} <= set(page.links)
    assert 'data-chart-threshold="80.0"' in page.html
    links = opened(signed_in(Role.VIEWER), url).links
    assert metrics in links
    assert rule not in links


def test_a_threshold_for_a_count_of_samples_is_not_drawn_among_the_samples(sre, trouble):
    alert = trouble(threshold_value=3.0, context_data={"metric_name": "cpu_usage_percent"})
    alert.alert_rule.metric_conditions = [stored.CONDITION | {"aggregation": "count"}]
    alert.alert_rule.save()
    assert "data-chart-threshold" not in opened(sre, reverse("console:alert", args=[alert.pk])).html


def test_an_alert_whose_asset_is_gone_is_still_shown(sre, trouble):
    alert = trouble()
    alert.asset.delete()
    assert alert.alert_title in opened(sre, URL).text
    assert alert.alert_title in opened(sre, reverse("console:alert", args=[alert.pk])).text


@pytest.mark.parametrize("role", Role)
def test_only_those_who_may_are_offered_to_change_rules(signed_in, role):
    rule, client, manages = stored.rule(1), signed_in(role), role in RESPONDERS
    url = reverse("console:rule", args=[rule.pk])
    page = opened(client, RULES)
    assert ("New rule" in page.text) is manages
    assert (url in page.links) is manages
    for place in (url, reverse("console:rule-new")):
        assert client.get(place).status_code == (200 if manages else 403)
        assert client.post(place, {}).status_code == (422 if manages else 403)


def test_rules_are_listed_with_their_condition_and_evaluation(sre, now):
    rule = stored.rule(1)
    page = opened(sre, RULES)
    assert "avg of CPU usage over 5 min > 80 %" in page.text
    assert "not yet" in page.text
    RuleEvaluation.objects.create(rule=rule, next_evaluation_at=now, last_evaluated_at=now, last_error="too slow")
    assert "too slow" in opened(sre, RULES).text
    part = opened(sre, RULES, htmx=True)
    assert not part.is_whole


def test_rules_that_tell_nobody_match_nothing_or_saw_nothing_are_marked(sre, asset, now):
    asset("web-1")
    useful, silent, lost, blind = (stored.rule(n) for n in range(4))
    silent.notification_channels, lost.asset_filter = [], {"asset_names": ["gone"]}
    silent.save()
    lost.save()
    for rule, seen in ((useful, 3), (silent, 3), (lost, 0), (blind, 0)):
        RuleEvaluation.objects.create(rule=rule, next_evaluation_at=now, last_evaluated_at=now, last_series_seen=seen)
    listed = sre.get(RULES).context["page"].object_list
    assert [[doubt.mark for doubt in rule.doubts] for rule in listed] == [
        [], ["tells nobody"], ["matches no asset"], ["no data"],
    ]  # fmt: skip
    page = opened(sre, reverse("console:rule", args=[silent.pk]))
    assert "Tells nobody." in page.text


@pytest.mark.parametrize("role", Role)
def test_a_test_message_is_sent_by_those_who_manage_rules_and_tells_how_each_went(signed_in, mailoutbox, role):
    rule, client = stored.rule(1), signed_in(role)
    closed = {"type": "webhook", "config": {"url": "http://127.0.0.1:9/a-secret"}}
    rule.notification_channels = [{"type": "email", "config": {"recipients": ["ops@wedsync.com"]}}, closed]
    rule.save()
    answer = client.post(reverse("console:rule-test", args=[rule.pk]), follow=True)
    if role not in RESPONDERS:
        assert (answer.status_code, len(mailoutbox)) == (403, 0)
        return
    page = Page(answer)
    assert "Test message to email o…@wedsync.com: delivered." in page.text
    assert "Test message to webhook 127.0.0.1:9: not delivered." in page.text
    assert [message.to for message in mailoutbox] == [["ops@wedsync.com"]]


def test_a_test_of_a_rule_without_recipients_says_that_nothing_was_sent(sre):
    rule = stored.rule(1)
    rule.notification_channels = []
    rule.save()
    page = Page(sre.post(reverse("console:rule-test", args=[rule.pk]), follow=True))
    assert "the rule has no recipient" in page.text


def test_no_rules_says_what_that_means(sre):
    assert "Without rules nobody is told of anything." in opened(sre, RULES).text


def test_the_list_of_rules_asks_no_more_for_thirty_than_for_three(sre):
    for number in range(3):
        stored.alert(number)
    few = queries_of(sre, RULES)
    for number in range(3, 30):
        stored.alert(number)
    assert queries_of(sre, RULES) == few <= 8


def test_a_rule_with_thresholds_is_made(signed_in, person):
    dev = person(Role.DEVELOPER, username="dev")
    answer = signed_in(user=dev).post(reverse("console:rule-new"), RULE, follow=True)
    assert "high-cpu-usage is saved." in Page(answer).text
    rule = AlertRule.objects.get()
    assert rule.metric_conditions == [
        {
            "metric_name": "cpu_usage_percent",
            "aggregation": "avg",
            "operator": "gt",
            "threshold": 80,
            "time_window": 300,
        }
    ]
    assert rule.asset_filter == {"environments": ["production"], "asset_types": ["server"]}
    assert rule.threshold_config == {"consecutive_breaches": 2}
    recipients = ["ops@wedsync.com", "on-call@wedsync.com"]
    assert rule.notification_channels == [{"type": "email", "config": {"recipients": recipients}}]
    assert (rule.created_by, rule.business_impact) == (dev, None)
    assert AuditEntry.objects.get(table_name="alert_rules").actor == dev


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"rule_name": ""}, "rule_name", "required"),
        ({"rule_name": "rule-1"}, "rule_name", "already exists"),
        ({"rule_name": "n" * 201}, "rule_name", "at most 200"),
        ({"threshold": "much"}, "threshold", "number"),
        ({"threshold": ""}, "threshold", "required"),
        ({"threshold": "nan"}, "threshold", "number"),
        ({"operator": "above"}, "operator", "not one of the available choices"),
        ({"environments": ["moon"]}, "environments", "not one of the available choices"),
        ({"time_window": "0"}, "time_window", "greater than or equal to 1"),
        ({"evaluation_frequency": "0"}, "evaluation_frequency", "greater than or equal to 1"),
        ({"email_recipients": "ops"}, "email_recipients", "such as ops@example.com"),
        ({"webhook_url": "ftp://example.com"}, "webhook_url", "begins with http"),
        ({"runbook_url": "javascript:alert(1)"}, "runbook_url", "valid URL"),
    ],
)
def test_a_bad_rule_is_refused_beside_its_field_and_nothing_typed_is_lost(sre, change, field, says):
    stored.rule(1)
    page = Page(sre.post(reverse("console:rule-new"), RULE | {"business_impact": "Couples wait."} | change))
    assert page.status == 422
    assert says in page.beside(field)
    assert "Couples wait." in page.html
    assert "cannot be null" not in page.text
    assert AlertRule.objects.count() == 1


def form_of(client, rule):
    """The rule's form as a browser sends it back."""
    return stored.values_of(client.get(reverse("console:rule", args=[rule.pk])).context["form"])


def test_a_rule_that_is_saved_unchanged_is_unchanged(sre):
    rule = stored.rule(1)
    rule.metric_conditions += [stored.CONDITION | {"metric_name": "load_1m"}]
    rule.asset_filter = {"tags": {"team": "web"}}
    rule.save()
    before = secrets.reveal(rule.notification_channels)
    AuditEntry.objects.all().delete()
    page = opened(sre, reverse("console:rule", args=[rule.pk]))
    assert stored.SECRET not in page.html
    assert "sealed:" not in page.html
    answer = sre.post(reverse("console:rule", args=[rule.pk]), form_of(sre, rule))
    assert answer.status_code == 302, answer.context["form"].errors
    rule.refresh_from_db()
    assert secrets.reveal(rule.notification_channels) == before
    assert rule.asset_filter == {"tags": {"team": "web"}}
    assert [one["metric_name"] for one in rule.metric_conditions] == ["cpu_usage_percent", "load_1m"]
    assert {name for entry in AuditEntry.objects.all() for name in entry.changes} <= {"threshold_config"}


def test_a_webhooks_secrets_are_not_sent_to_another_address(sre):
    rule = stored.rule(1)
    elsewhere = {"webhook_url": "https://elsewhere.example.com"}
    url = reverse("console:rule", args=[rule.pk])
    page = Page(sre.post(url, form_of(sre, rule) | elsewhere))
    assert "secret headers" in page.beside("webhook_url")
    rule.notification_channels = [{"type": "webhook", "config": {"url": "https://a.example.com", "secret": "old"}}]
    rule.save()
    page = Page(sre.post(url, form_of(sre, rule) | elsewhere))
    assert "Enter the secret again" in page.beside("webhook_secret")
    assert sre.post(url, form_of(sre, rule) | elsewhere | {"webhook_secret": "new"}).status_code == 302
    rule.refresh_from_db()
    assert secrets.reveal(rule.notification_channels)[0]["config"] == {
        "url": "https://elsewhere.example.com", "secret": "new",
    }  # fmt: skip
