"""Rules over REST: shapes, writing, secrets, filters, roles, test messages and budgets."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import pytest

from alerts import naming
from alerts.models import (
    AlertEvent,
    AlertInstance,
    AlertRule,
    EscalationPolicy,
    NotificationDelivery,
    RuleEvaluation,
)
from tests.answers import fields_of, is_problem, queries_of
from wedsync_monitor import secrets
from wedsync_monitor.models import AuditEntry
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
URL = "/api/monitoring/alerts/rules"
CONDITION = {
    "metric_name": "cpu_usage_percent",
    "operator": "gt",
    "threshold": 80,
    "aggregation": "avg",
    "time_window": 300,
}
HIGH_CPU = {
    "rule_name": "high-cpu-usage",
    "asset_filter": {"asset_types": ["server"], "environments": ["production"]},
    "metric_conditions": [CONDITION],
    "severity": "high",
    "evaluation_frequency": 60,
    "notification_channels": [{"type": "email", "config": {"recipients": ["ops@wedsync.com"]}}],
}
EVERYTHING = HIGH_CPU | {
    "rule_description": "Too much work for one machine.",
    "asset_filter": HIGH_CPU["asset_filter"] | {"tags": {"tier": "1"}, "asset_names": ["web-01"]},
    "alert_type": "threshold",
    "threshold_config": {"consecutive_breaches": 3, "recovery_threshold": 70},
    "anomaly_config": {"sensitivity": "high", "direction": "up", "baseline_days": 14},
    "suppression_config": {"suppression_period": 600, "maintenance_windows": True},
    "auto_resolve_timeout": 3600,
    "runbook_url": "https://runbooks.example/cpu",
    "business_impact": "Couples wait for their seating plan.",
}
LISTED = {
    "id", "rule_name", "rule_description", "severity", "alert_type", "is_enabled", "asset_filter",
    "evaluation_frequency", "escalation_policy_name", "recent_triggers", "last_triggered", "created_at",
}  # fmt: skip


@pytest.fixture
def sre(api):
    return api(Role.SRE)


def webhook(url: str = "https://hooks.example/a", **config) -> dict:
    return {"type": "webhook", "config": {"url": url} | config}


def test_the_specifications_rule_is_created(api, person):
    developer = person(Role.DEVELOPER)
    answer = api(user=developer).post(URL, HIGH_CPU, format="json")
    assert answer.status_code == 201
    stored = AlertRule.objects.get(pk=answer.json()["id"])
    assert {name: getattr(stored, name) for name in HIGH_CPU} == HIGH_CPU
    assert (stored.alert_type, stored.is_enabled, stored.created_by) == ("threshold", True, developer)
    assert AuditEntry.objects.get(table_name="alert_rules").actor == developer


def test_every_field_of_the_specifications_request_is_stored_and_answered(sre):
    policy = EscalationPolicy.objects.create(policy_name="night shift", escalation_steps=[{"delay_minutes": 5}])
    body = EVERYTHING | {"escalation_policy_id": str(policy.pk)}
    answer = sre.post(URL, body, format="json")
    assert answer.status_code == 201, answer.content
    shown = answer.json()
    assert {name: shown[name] for name in body} == body
    assert shown["escalation_policy_name"] == "night shift"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rule_name": ""}, "rule_name"),
        ({"rule_name": 7}, "rule_name"),
        ({"rule_name": "n" * 5000}, "rule_name"),
        ({"severity": "dreadful"}, "severity"),
        ({"alert_type": None}, "alert_type"),
        ({"asset_filter": []}, "asset_filter"),
        ({"asset_filter": {"asset_types": ["toaster"]}}, "asset_filter.asset_types[0]"),
        ({"asset_filter": {"colour": ["red"]}}, "asset_filter"),
        ({"asset_filter": {"tags": ["tier"]}}, "asset_filter.tags"),
        ({"metric_conditions": []}, "metric_conditions"),
        ({"metric_conditions": None}, "metric_conditions"),
        ({"metric_conditions": [CONDITION | {"operator": ">"}]}, "metric_conditions[0].operator"),
        ({"metric_conditions": [CONDITION, CONDITION | {"threshold": "80"}]}, "metric_conditions[1].threshold"),
        ({"metric_conditions": [CONDITION | {"time_window": 0}]}, "metric_conditions[0].time_window"),
        ({"metric_conditions": [CONDITION | {"time_window": 10**12}]}, "metric_conditions[0].time_window"),
        ({"metric_conditions": [{"metric_name": "cpu"}]}, "metric_conditions[0]"),
        ({"threshold_config": {"consecutive_breaches": 0}}, "threshold_config.consecutive_breaches"),
        ({"suppression_config": {"suppression_period": -1}}, "suppression_config.suppression_period"),
        ({"anomaly_config": {"sensitivity": "extreme"}}, "anomaly_config.sensitivity"),
        ({"evaluation_frequency": 0}, "evaluation_frequency"),
        ({"evaluation_frequency": 60.5}, "evaluation_frequency"),
        ({"evaluation_frequency": "60"}, "evaluation_frequency"),
        ({"evaluation_frequency": 2**40}, "evaluation_frequency"),
        ({"auto_resolve_timeout": -5}, "auto_resolve_timeout"),
        ({"notification_channels": [{"type": "pigeon", "config": {}}]}, "notification_channels[0].type"),
        ({"notification_channels": [{"type": "email", "config": {"recipients": ["nobody"]}}]},
         "notification_channels[0].config.recipients[0]"),
        ({"notification_channels": [webhook("ftp://hooks.example")]}, "notification_channels[0].config.url"),
        ({"notification_channels": [webhook(secret="********")]}, "notification_channels"),
        ({"escalation_policy_id": "not-an-id"}, "escalation_policy_id"),
        ({"escalation_policy_id": str(uuid4())}, "escalation_policy_id"),
        ({"runbook_url": "javascript:alert(1)"}, "runbook_url"),
        ({"is_enabled": "yes"}, "is_enabled"),
        ({"colour": "red"}, "colour"),
    ],
)  # fmt: skip
def test_a_field_that_does_not_fit_is_refused_by_its_path(sre, change, field):
    assert fields_of(sre.post(URL, HIGH_CPU | change, format="json")) == {field}
    assert not AlertRule.objects.exists()


@pytest.mark.parametrize("missing", ["rule_name", "metric_conditions"])
def test_what_a_rule_cannot_do_without_is_asked_for(sre, missing):
    body = {name: value for name, value in HIGH_CPU.items() if name != missing}
    assert fields_of(sre.post(URL, body, format="json")) == {missing}


@pytest.mark.parametrize(
    "raw",
    [b"{", b"[]", b"7", b'{"rule_name": "a\\u0000b"}', b'{"evaluation_frequency": 1e999}', b"[" * 100_000, b"\xff"],
)
def test_a_body_that_cannot_be_stored_is_a_400(sre, raw):
    assert is_problem(sre.generic("POST", URL, raw, content_type="application/json"), 400)


def test_a_name_that_is_taken_is_refused(sre, rule):
    rule("high-cpu-usage")
    assert fields_of(sre.post(URL, HIGH_CPU, format="json")) == {"rule_name"}


@pytest.mark.parametrize("method", ["put", "patch"])
def test_put_and_patch_change_only_what_is_sent(sre, rule, method):
    cpu = rule(severity="low", business_impact="none")
    answer = getattr(sre, method)(f"{URL}/{cpu.pk}", {"severity": "critical", "is_enabled": False}, format="json")
    assert answer.status_code == 200
    assert (answer.json()["severity"], answer.json()["is_enabled"]) == ("critical", False)
    cpu.refresh_from_db()
    assert (cpu.severity, cpu.is_enabled, cpu.business_impact, cpu.rule_name) == ("critical", False, "none", "cpu")


def test_a_change_that_does_not_fit_changes_nothing(sre, rule):
    cpu = rule(severity="low")
    answer = sre.patch(f"{URL}/{cpu.pk}", {"severity": "high", "metric_conditions": []}, format="json")
    assert fields_of(answer) == {"metric_conditions"}
    cpu.refresh_from_db()
    assert cpu.severity == "low"


def test_a_rule_is_removed(sre, rule):
    cpu = rule()
    assert sre.delete(f"{URL}/{cpu.pk}").status_code == 204
    assert is_problem(sre.get(f"{URL}/{cpu.pk}"), 404)
    assert is_problem(sre.delete(f"{URL}/{cpu.pk}"), 404)


def test_a_secret_is_sealed_when_stored_and_masked_when_read(sre):
    channel = webhook(secret="s3cret", headers={"Authorization": "Bearer t0ken"})
    created = sre.post(URL, HIGH_CPU | {"notification_channels": [channel]}, format="json")
    listed = sre.get(URL)
    read = sre.get(f"{URL}/{created.json()['id']}")
    for answer in (created, listed, read):
        assert "s3cret" not in answer.content.decode()
        assert "t0ken" not in answer.content.decode()
    shown = read.json()["notification_channels"][0]["config"]
    assert (shown["secret"], shown["headers"]) == ("********", {"Authorization": "********"})
    stored = AlertRule.objects.values_list("notification_channels", flat=True).get()
    assert "s3cret" not in json.dumps(stored)
    assert secrets.reveal(stored) == [channel]
    assert "s3cret" not in json.dumps(AuditEntry.objects.get(table_name="alert_rules").changes)


def test_the_mask_sent_back_keeps_the_stored_secret(sre):
    channel = webhook(secret="s3cret")
    one = f"{URL}/{sre.post(URL, HIGH_CPU | {'notification_channels': [channel]}, format='json').json()['id']}"
    read = sre.get(one).json()["notification_channels"]
    added = [*read, {"type": "email", "config": {"recipients": ["a@b.example"]}}]
    assert sre.put(one, {"notification_channels": added}, format="json").status_code == 200
    stored = secrets.reveal(AlertRule.objects.get().notification_channels)
    assert stored == [channel, added[1]]


def test_a_secret_does_not_follow_its_mask_to_another_address(committed, sre):
    body = HIGH_CPU | {"notification_channels": [webhook(secret="s3cret")]}
    one = f"{URL}/{sre.post(URL, body, format='json').json()['id']}"
    moved = [webhook("https://elsewhere.example", secret="********")]
    assert fields_of(sre.patch(one, {"notification_channels": moved}, format="json")) == {"notification_channels"}
    assert AlertRule.objects.get().notification_channels[0]["config"]["url"] == "https://hooks.example/a"


def test_the_list_has_the_specifications_envelope(sre, rule, alert, asset, now):
    cpu = rule("cpu", severity="critical")
    RuleEvaluation.objects.create(rule=cpu, next_evaluation_at=now, last_evaluated_at=now, last_series_seen=4)
    rule("memory", is_enabled=False)
    web = asset("web-01")
    alert(web, first_triggered_at=now - timedelta(hours=1))
    alert(web, first_triggered_at=now - timedelta(days=2), status="resolved", resolved_at=now)
    alert(web, status="pending")
    body = sre.get(URL).json()
    assert set(body["rules"][0]) >= LISTED
    first, second = body["rules"]
    assert (first["rule_name"], first["recent_triggers"]) == ("cpu", 1)
    assert first["last_triggered"] == (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    assert first["evaluation"]["last_series_seen"] == 4
    assert (second["recent_triggers"], second["last_triggered"], second["evaluation"]) == (0, None, None)
    assert body["rule_summary"] == {
        "total_rules": 2,
        "enabled_rules": 1,
        "rules_by_severity": {"low": 0, "medium": 1, "high": 0, "critical": 1},
        "rules_triggered_24h": 1,
    }


def test_the_summary_counts_all_that_match_and_not_only_the_page(sre, rule):
    for number in range(5):
        rule(f"rule {number}", severity="low" if number == 4 else "high")
    answer = sre.get(URL, {"page_size": 2, "severity": "high", "page": 2})
    assert [one["rule_name"] for one in answer.json()["rules"]] == ["rule 2", "rule 3"]
    assert answer.json()["rule_summary"]["total_rules"] == 4
    assert answer["X-Total-Count"] == "4"
    assert 'rel="prev"' in answer["Link"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"severity": "critical"}, ["cpu"]),
        ({"alert_type": "absence"}, ["Silence"]),
        ({"is_enabled": "false"}, ["Silence"]),
        ({"q": "SILEN"}, ["Silence"]),
        ({"q": "%"}, []),
        ({"ordering": "-created_at"}, ["Silence", "cpu"]),
        ({"ordering": "created_at"}, ["cpu", "Silence"]),
    ],
)
def test_rules_are_filtered_and_ordered(sre, rule, query, names):
    rule("cpu", severity="critical")
    rule("Silence", alert_type="absence", is_enabled=False)
    assert [one["rule_name"] for one in sre.get(URL, query).json()["rules"]] == names


@pytest.mark.parametrize(
    "query",
    [
        {"colour": "red"},
        {"severity": "dreadful"},
        {"is_enabled": "perhaps"},
        {"ordering": "notification_channels"},
        {"page_size": "1001"},
        {"q": "a\0b"},
    ],
)
def test_a_query_parameter_that_is_not_understood_is_refused(sre, rule, query):
    one = rule()
    assert fields_of(sre.get(URL, query)) == set(query)
    assert fields_of(sre.get(f"{URL}/{one.pk}", {"colour": "red"})) == {"colour"}


@pytest.mark.parametrize("page", ["0", "99", "x", "9" * 30])
def test_a_page_that_is_not_there_is_a_404(sre, page):
    assert is_problem(sre.get(URL, {"page": page}), 404)


def test_a_viewer_reads_rules_and_does_not_write_them(api, rule):
    one, viewer = f"{URL}/{rule().pk}", api(Role.VIEWER)
    assert [viewer.get(url).status_code for url in (URL, one)] == [200, 200]
    for method, url in (("post", URL), ("put", one), ("patch", one), ("delete", one)):
        assert is_problem(getattr(viewer, method)(url, HIGH_CPU, format="json"), 403)
    assert is_problem(viewer.post(f"{one}/test-notification"), 403)


def test_nobody_without_a_role_or_a_sign_in_gets_in(api, client, rule):
    one, without_role = f"{URL}/{rule().pk}", api()
    for url in (URL, one):
        assert is_problem(without_role.get(url), 403)
        assert is_problem(client.get(url), 401)


def test_a_test_message_tells_of_each_channel_whether_it_arrived(sre, rule, receiver, mailoutbox):
    receiver.answers = [(200, {})]
    channels = [
        webhook(receiver.url, secret="s3cret"),
        {"type": "email", "config": {"recipients": ["ops@wedsync.com"]}},
        webhook("http://127.0.0.1:9/nobody-listens"),
    ]
    cpu = rule(notification_channels=channels)
    answer = sre.post(f"{URL}/{cpu.pk}/test-notification")
    assert answer.status_code == 200
    arrived, mailed, refused = answer.json()["results"]
    keys = [naming.channel_key(channel) for channel in channels]
    assert arrived == {"channel": keys[0], "delivered": True, "error": ""}
    assert mailed == {"channel": keys[1], "delivered": True, "error": ""}
    assert (refused["channel"], refused["delivered"]) == (keys[2], False)
    assert refused["error"]
    ((headers, body),) = receiver.got
    assert (json.loads(body)["event"], json.loads(body)["rule_name"]) == ("test", "cpu")
    assert headers["x-wedsync-signature"].startswith("t=")
    assert [mail.to for mail in mailoutbox] == [["ops@wedsync.com"]]


def test_a_test_message_says_what_the_receiver_answered(sre, rule, receiver):
    receiver.answers = [(410, {})]
    cpu = rule(notification_channels=[webhook(receiver.url)])
    (tried,) = sre.post(f"{URL}/{cpu.pk}/test-notification").json()["results"]
    assert (tried["delivered"], tried["error"]) == (False, "the receiver answered 410")


def test_a_rule_without_channels_has_nothing_to_try(sre, rule):
    assert sre.post(f"{URL}/{rule().pk}/test-notification").json() == {"results": []}
    assert is_problem(sre.post(f"{URL}/{uuid4()}/test-notification"), 404)


def test_the_number_of_queries_does_not_grow_with_the_rules(sre, rule, alert, asset, now):
    web, policy = (
        asset("web-01"),
        EscalationPolicy.objects.create(policy_name="p", escalation_steps=[{"delay_minutes": 5}]),
    )

    def grow(first: int, last: int) -> None:
        for number in range(first, last):
            one = rule(f"rule {number}", escalation_policy=policy)
            RuleEvaluation.objects.create(rule=one, next_evaluation_at=now)
            alert(web, alert_rule=one)

    grow(0, 2)
    few = queries_of(sre, URL)
    grow(2, 20)
    assert queries_of(sre, URL) == few <= 9
    assert queries_of(sre, f"{URL}/{AlertRule.objects.first().pk}") <= 5


@pytest.mark.parametrize("live", [True, False], ids=["a live alert", "an undelivered message"])
def test_a_rule_in_use_is_not_deleted_before_its_alerts_have_ended(api, rule, alert, now, live):
    one = rule()
    ended = {} if live else {"status": "resolved", "resolved_at": now, "resolution_type": "auto"}
    about = alert(alert_rule=one, **ended)
    if not live:
        event = AlertEvent.objects.create(alert=about, kind="resolved", at=now)
        channel = {"type": "webhook", "config": {"url": "http://127.0.0.1:1/hook"}}
        NotificationDelivery.objects.create(event=event, channel_key="webhook", channel=channel, next_attempt_at=now)
    sre = api(Role.SRE)
    answer = sre.delete(f"/api/monitoring/alerts/rules/{one.pk}")
    assert answer.status_code == 409
    assert "Switch it off first" in answer.json()["detail"]
    NotificationDelivery.objects.update(status="delivered")
    AlertInstance.objects.update(status="resolved", resolved_at=now)
    assert sre.delete(f"/api/monitoring/alerts/rules/{one.pk}").status_code == 204


def test_the_configuration_protects_a_rule_in_use_too(signed_in, rule, alert):
    one = rule()
    alert(alert_rule=one)
    browser = signed_in(Role.SYSTEM_ADMIN)
    page = browser.post(f"/admin/alerts/alertrule/{one.pk}/delete/", {"post": "yes"})
    assert b"Switch it off first" in page.content
    many = {"action": "delete_selected", "_selected_action": [str(one.pk)], "post": "yes"}
    assert b"Switch it off first" in browser.post("/admin/alerts/alertrule/", many).content
    assert type(one).objects.filter(pk=one.pk).exists()


def test_a_composite_rule_that_cannot_be_meant_is_refused_by_field(sre):
    body = HIGH_CPU | {"alert_type": "composite", "composite_config": {"require": "at_least"}}
    assert fields_of(sre.post(URL, body, format="json")) == {"composite_config"}
    body["composite_config"] = {"parts": [{"kind": "rule", "rule_name": "nobody"}]}
    assert "No rule is called" in sre.post(URL, body, format="json").json()["detail"]


def test_a_rule_about_assets_that_do_not_exist_says_so(sre, asset):
    made = sre.post(URL, HIGH_CPU | {"asset_filter": {"asset_names": ["web-01"]}}, format="json").json()
    assert made["notice"] == "matches no asset now"
    asset("web-01")
    assert [one["notice"] for one in sre.get(URL).json()["rules"]] == [None]


def test_a_channel_into_a_private_network_is_refused_when_it_is_saved(sre, settings):
    private = HIGH_CPU | {"notification_channels": [webhook("http://10.1.2.3:8080/hook")]}
    answer = sre.post(URL, private, format="json")
    assert fields_of(answer) == {"notification_channels"}
    assert "10.1.2.3 is in a private network" in answer.json()["detail"]
    assert "WEDSYNC_ALLOWED_NETWORKS" in answer.json()["detail"]
    settings.OUTGOING_ALLOWED_NETWORKS = ["10.0.0.0/8"]
    made = sre.post(URL, private, format="json")
    assert made.status_code == 201
    settings.OUTGOING_ALLOWED_NETWORKS = []
    assert sre.patch(f"{URL}/{made.json()['id']}", {"is_enabled": False}, format="json").status_code == 200
