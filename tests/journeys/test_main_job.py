"""The main job on a fresh installation: metrics arrive, trouble opens an alert, a person is told and acknowledges."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.journeys.system import System, eventually

pytestmark = pytest.mark.system
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture
def page(system: System) -> Iterator[Any]:
    """A browser's page, signed in as the administrator; a script error fails the test."""
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{system.url}/admin/monitoring")
        page.fill("[name=username]", "admin")
        page.fill("[name=password]", system.password())
        page.click("text=Sign in")
        page.wait_for_selector("text=System Health")
        yield page
        browser.close()
        assert errors == []


def rule(system: System, receiver_url: str, metric: str) -> dict[str, Any]:
    body = {
        "rule_name": f"rule {uuid.uuid4()}",
        "asset_filter": {"asset_types": ["server"]},
        "metric_conditions": [
            {"metric_name": metric, "operator": "gt", "threshold": 10, "aggregation": "max", "time_window": 5}
        ],
        "severity": "critical",
        "evaluation_frequency": 1,
        "notification_channels": [{"type": "webhook", "config": {"url": receiver_url, "secret": "hush"}}],
    }
    made: dict[str, Any] = system.post("alerts/rules", body)
    return made


def send(system: System, metric: str, value: float) -> None:
    answer = system.post(
        "metrics", {"asset_id": system.host()["asset_name"], "metric_name": metric, "metric_value": value}
    )
    assert answer["accepted"] == 1


def test_this_machines_own_metrics_are_there_within_a_minute(system):
    host = system.host()
    current = eventually(lambda: system.get(f"assets/{host['id']}/metrics")["current_metrics"], 60)
    current = eventually(
        lambda: (
            {"cpu_usage_percent", "memory_usage_percent", "disk_usage_percent"}
            <= set(found := system.get(f"assets/{host['id']}/metrics")["current_metrics"])
            and found
        )
    )
    assert 0 <= current["cpu_usage_percent"] <= 100
    agent = eventually(lambda: [one for one in system.get("agents")["agents"] if one["health_status"] != "unknown"])[0]
    assert agent["metrics_collected"] >= 0


def test_breach_notification_and_recovery_within_an_interval_and_two_seconds(system, receiver):
    made = rule(system, receiver.url, "journey_value")
    eventually(lambda: system.get("alerts/rules", q=made["rule_name"])["rules"][0]["evaluation"])
    send(system, "journey_value", 50)
    began = time.monotonic()
    eventually(lambda: receiver.events() == ["opened"], 10)
    assert time.monotonic() - began < 1 + 2
    eventually(lambda: receiver.events() == ["opened"] and not send(system, "journey_value", 1), 1)
    time.sleep(5)
    send(system, "journey_value", 1)
    eventually(lambda: receiver.events() == ["opened", "resolved"], 20)


def test_the_overview_shows_health_alerts_and_assets(system, page):
    for text in ("System Health", "Active Alerts", "Infrastructure Assets", "Issues", "Asset Health Status"):
        assert page.locator(f"text={text}").first.is_visible()


def test_view_metrics_shows_cpu_usage(system, page):
    page.goto(f"{system.url}/admin/monitoring/assets?q={system.host()['asset_name']}")
    page.click('[data-testid="view-metrics-btn"] >> nth=0')
    page.wait_for_selector("text=CPU Usage")
    page.wait_for_selector(".chart canvas")
    page.goto(f"{system.url}/admin/monitoring/assets?q={system.host()['asset_name']}")
    page.click('[data-testid="health-check-btn"] >> nth=0')
    page.wait_for_selector("text=Factors")


def test_acknowledging_in_the_browser_with_a_note(system, page, receiver):
    rule(system, receiver.url, "browser_value")
    send(system, "browser_value", 50)
    eventually(lambda: receiver.events() == ["opened"], 15)
    page.goto(f"{system.url}/admin/monitoring/alerts")
    card = page.locator(".alert-row", has_text="Browser value")
    card.locator('[data-testid="acknowledge-alert-btn"]').click()
    page.fill('[data-testid="ack-note"]', "Investigating high CPU usage on web server")
    page.click('[data-testid="submit-ack"]')
    page.wait_for_selector("text=Alert acknowledged")
    alert = next(one for one in system.get("alerts/instances", status="acknowledged")["alerts"])
    events = system.get(f"alerts/instances/{alert['id']}")["events"]
    assert [(one["kind"], one["actor"]) for one in events] == [("opened", None), ("acknowledged", "admin")]
    assert events[1]["note"] == "Investigating high CPU usage on web server"


def test_a_rule_is_made_in_the_console(system, page):
    page.goto(f"{system.url}/admin/monitoring/alerts/rules/new")
    page.fill("[name=rule_name]", "made in the console")
    page.fill("[name=metric_name]", "cpu_usage_percent")
    page.fill("[name=threshold]", "99")
    page.click("text=Save")
    page.wait_for_selector("text=made in the console is saved.")
    made = system.get("alerts/rules", q="made in the console")["rules"][0]
    assert made["metric_conditions"][0]["threshold"] == 99


TABS = ("overview", "assets", "alerts", "alerts/rules", "synthetic", "capacity", "remediation", "dashboards", "system")


def test_every_tab_opens_on_a_phone_too(system, page):
    page.set_viewport_size({"width": 390, "height": 844})
    for tab in TABS:
        answer = page.goto(f"{system.url}/admin/monitoring/{tab}")
        assert answer.status == 200
        assert page.evaluate("document.documentElement.scrollWidth") <= 391, tab
