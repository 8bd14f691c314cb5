"""The console's frame: sign-in, navigation by role, the overview, and tabs that list what is stored."""

from __future__ import annotations

import re

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from alerts.forms import RuleForm
from assets.forms import AssetForm
from assets.models import AssetHealth
from tests.pages import HTMX, Page, opened, queries_of
from tests.wedsync_monitor import stored
from wedsync_monitor.console.urls import urlpatterns
from wedsync_monitor.models import MonitoringDashboard
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
OVERVIEW = "/admin/monitoring/overview"
TABS = ["Overview", "Assets", "Alerts", "Synthetic Checks", "Capacity", "Remediation", "Dashboards", "System"]
PATHS = ["overview", "assets", "alerts", "synthetic", "capacity", "remediation", "dashboards", "system"]
STORED = {
    "capacity": stored.forecast,
    "remediation": stored.action,
    "dashboards": stored.MAKE["wedsync_monitor.MonitoringDashboard"],
}


@pytest.fixture
def sre(signed_in):
    return signed_in(Role.SRE)


def tabs_of(page: Page) -> list[str]:
    frame = page.html.split("</aside>")[0]
    return [text for text in re.findall(r'nav-link-title ms-2">([^<]+)<', frame) if text in TABS]


@pytest.mark.parametrize("role", Role)
def test_the_navigation_shows_what_a_role_may_open(signed_in, role):
    client = signed_in(role)
    closed = {Role.VIEWER: {"Remediation", "System"}, Role.DEVELOPER: {"System"}}.get(role, set())
    expected = [tab for tab in TABS if tab not in closed]
    assert tabs_of(opened(client, OVERVIEW)) == expected
    for tab, path in zip(TABS, PATHS, strict=True):
        assert client.get(f"/admin/monitoring/{path}").status_code == (200 if tab in expected else 403)


def test_a_person_without_a_role_starts_at_their_alerts(signed_in):
    client = signed_in()
    answer = client.get("/", follow=True)
    assert answer.redirect_chain[-1][0] == "/admin/monitoring/alerts"
    page = Page(answer)
    assert tabs_of(page) == ["Alerts", "Dashboards"]
    assert "Configuration" not in page.text
    assert client.get(OVERVIEW).status_code == 403


@pytest.mark.parametrize("path", PATHS)
def test_the_tab_one_is_in_is_marked(signed_in, path):
    page = opened(signed_in(Role.SYSTEM_ADMIN), f"/admin/monitoring/{path}")
    marked = re.findall(r'href="([^"]+)" aria-current="page"', page.html)
    assert marked == [f"/admin/monitoring/{path}"]


def test_every_tab_has_a_key_of_its_own(sre):
    keys = re.findall(r'data-key="(.)"', opened(sre, OVERVIEW).html)
    assert len(keys) == len(set(keys)) == len(TABS)


@pytest.mark.parametrize("url", ["/", "/admin/monitoring", "/admin/monitoring/"])
def test_the_monitoring_address_leads_to_the_overview(sre, url):
    assert sre.get(url, follow=True).redirect_chain[-1][0] == OVERVIEW


def test_every_page_of_the_console_asks_to_sign_in_and_returns():
    for pattern in urlpatterns:
        wanted = {"pk": "00000000-0000-4000-8000-000000000000", "name": "cpu_usage_percent", "version": 7}
        pk = {name: value for name, value in wanted.items() if f":{name}>" in str(pattern.pattern)}
        url = reverse(f"console:{pattern.name}", kwargs=pk)
        answer = Client().get(f"{url}?q=a")
        assert (answer.status_code, answer["Location"]) == (302, f"/login?next={url}%3Fq%3Da")


def test_a_refresh_after_the_session_has_ended_sends_the_browser_to_sign_in():
    current = f"http://testserver{OVERVIEW}?environment=staging"
    answer = Client().get(OVERVIEW, headers=HTMX | {"HX-Current-URL": current})
    assert answer["HX-Redirect"] == f"/login?next={OVERVIEW}%3Fenvironment%3Dstaging"
    assert not answer.content


def test_signing_in_leads_to_what_was_asked_for(person):
    person(Role.SRE, username="ann")
    client, url = Client(), "/admin/monitoring/assets"
    wrong = Page(client.post(f"/login?next={url}", {"username": "ann", "password": "wrong", "next": url}))
    assert "correct username and password" in wrong.text
    assert 'value="ann"' in wrong.html
    right = client.post("/login", {"username": "ann", "password": "a long pass phrase", "next": url})
    assert right["Location"] == url
    away = Client().post(
        "/login", {"username": "ann", "password": "a long pass phrase", "next": "https://evil.example"}
    )
    assert away["Location"] == "/admin/monitoring"


def test_signing_out_needs_a_post(sre):
    assert sre.get("/logout").status_code == 405
    assert sre.post("/logout")["Location"] == "/login"
    assert sre.get(OVERVIEW).status_code == 302


@pytest.mark.parametrize("path", PATHS)
def test_pages_that_only_show_refuse_to_be_posted_to(sre, path):
    assert sre.post(f"/admin/monitoring/{path}").status_code == 405


def test_the_overview_says_how_everything_is(sre, now):
    for number, status in enumerate(("healthy", "healthy", "degraded", "unhealthy")):
        asset = stored.asset(number)
        asset.is_critical = number == 0
        asset.save()
        AssetHealth.objects.create(asset=asset, health_status=status, assessed_at=now)
    alert = stored.alert(10)
    alert.severity = "critical"
    alert.save()
    page = opened(sre, OVERVIEW)
    for text in (
        "Infrastructure Monitoring",
        "Real-time monitoring of servers, services, and infrastructure health",
        "System Health 50.0%",
        "2/4 assets healthy, 1 unknown",
        "Active Alerts 1 1 critical, 0 high",
        "Infrastructure Assets 5 1 asset is critical",
        "Issues 2 1 unhealthy, 1 degraded",
        "Critical Alerts Alerts requiring immediate attention CRITICAL CPU usage is 10 %",
        "web-10 • production",
        "Level 0",
        "Asset Health Status Current health status of all monitored assets",
        "production 5 assets 1 unknown 50% staging 0 assets –",
        "All Environments",
        "Refresh",
    ):
        assert text in page.text, text
    assert "refresh-btn" in page.testids


def test_the_overview_of_nothing_is_no_alarm(sre):
    page = opened(sre, OVERVIEW)
    assert "System Health – 0/0 assets healthy" in page.text
    assert "0 assets are critical" in page.text
    assert "Critical Alerts" not in page.text


def test_the_overview_is_limited_to_an_environment(sre):
    stored.alert(1)
    page = opened(sre, OVERVIEW, {"environment": "staging"})
    assert "Infrastructure Assets 0" in page.text
    assert "Active Alerts 0" in page.text
    assert "production 1 assets" not in page.text
    assert '<option value="staging" selected>' in page.html


def test_the_overview_says_where_monitoring_itself_does_not_work(sre):
    cache.clear()
    assert "Monitoring itself: beat has not ticked" in opened(sre, OVERVIEW).text


def test_htmx_gets_the_part_that_the_overview_includes(sre):
    part, page = opened(sre, OVERVIEW, htmx=True), opened(sre, OVERVIEW)
    assert not part.is_whole
    assert part.html in page.html


def test_the_overview_asks_no_more_for_thirty_assets_than_for_three(sre):
    for number in range(3):
        stored.alert(number)
    few = queries_of(sre, OVERVIEW)
    for number in range(3, 30):
        stored.alert(number)
    assert queries_of(sre, OVERVIEW) == few <= 8


@pytest.mark.parametrize("tab", STORED)
def test_a_tab_lists_what_is_stored_and_leads_to_its_configuration(signed_in, tab):
    client, url = signed_in(Role.SYSTEM_ADMIN), f"/admin/monitoring/{tab}"
    assert "Nothing here yet" in opened(client, url).text
    row = STORED[tab](1)
    page = opened(client, url)
    link = next(link for link in page.links if str(row.pk) in link)
    assert client.get(link).status_code == 200
    part = opened(client, url, htmx=True)
    assert not part.is_whole
    assert part.html in page.html


@pytest.mark.parametrize("tab", ["capacity", "remediation"])
def test_a_tab_that_nothing_runs_says_so(sre, tab):
    assert "in this version" in opened(sre, f"/admin/monitoring/{tab}").text


def test_every_tab_has_a_heading_of_its_own(sre):
    pages = [opened(sre, f"/admin/monitoring/{path}").html for path in PATHS]
    headings = [re.search(r"<h1[^>]*>([^<]+)<", page)[1] for page in pages]
    assert len(set(headings)) == len(PATHS)
    assert headings[0] == "Infrastructure Monitoring"


@pytest.mark.parametrize("tab", STORED)
def test_a_tab_asks_no_more_for_thirty_rows_than_for_three(signed_in, tab):
    client, url = signed_in(Role.SYSTEM_ADMIN), f"/admin/monitoring/{tab}"
    for number in range(3):
        STORED[tab](number)
    few = queries_of(client, url)
    for number in range(3, 30):
        STORED[tab](number)
    assert queries_of(client, url) == few <= 8


@pytest.mark.parametrize(
    ("tab", "adders"),
    [
        ("capacity", frozenset()),
        ("remediation", {Role.SRE, Role.SYSTEM_ADMIN}),
        ("dashboards", frozenset(Role)),
    ],
)
@pytest.mark.parametrize("role", Role)
def test_only_those_who_may_are_offered_to_add(signed_in, role, tab, adders):
    client = signed_in(role)
    answer = client.get(f"/admin/monitoring/{tab}")
    if answer.status_code == 403:
        assert (role, tab) == (Role.VIEWER, "remediation")
        return
    added = [link for link in Page(answer).links if link.endswith("/add/")]
    assert bool(added) is (role in adders)
    assert all(client.get(link).status_code == 200 for link in added)


def test_a_dashboard_is_seen_by_those_it_is_shared_with(signed_in, person):
    MonitoringDashboard.objects.create(dashboard_name="open to all", is_public=True)
    MonitoringDashboard.objects.create(dashboard_name="for the team", access_control={"view_roles": ["sre"]})
    MonitoringDashboard.objects.create(dashboard_name="for vera", access_control={"view_users": ["vera"]})
    url, vera = "/admin/monitoring/dashboards", person(username="vera")
    seen = {
        "sre": opened(signed_in(Role.SRE), url).text,
        "viewer": opened(signed_in(Role.VIEWER), url).text,
        "vera": opened(signed_in(user=vera), url).text,
    }
    for name, readers in {"open to all": {"sre", "viewer"}, "for the team": {"sre"}, "for vera": {"vera"}}.items():
        assert {reader for reader, text in seen.items() if name in text} == readers


def test_a_person_without_a_role_is_offered_nothing_of_the_configuration(signed_in, person):
    MonitoringDashboard.objects.create(dashboard_name="for vera", access_control={"view_users": ["vera"]})
    page = opened(signed_in(user=person(username="vera")), "/admin/monitoring/dashboards")
    assert "for vera" in page.text
    assert not [link for link in page.links if link.startswith("/admin/wedsync_monitor")]


def test_what_is_not_there_and_what_may_not_be_opened_say_so(signed_in):
    client = signed_in(Role.VIEWER)
    missing, refused = client.get("/admin/monitoring/moon"), client.get("/admin/monitoring/remediation")
    assert (missing.status_code, refused.status_code) == (404, 403)
    assert "You may not open this" in refused.content.decode()


def test_pages_load_nothing_from_other_hosts(sre):
    answer = sre.get(OVERVIEW)
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', answer.content.decode())


@pytest.mark.parametrize("form", [AssetForm, RuleForm])
def test_every_field_of_a_form_is_in_one_section(form):
    shown = [name for _, names in form.sections for name in names]
    assert sorted(shown) == sorted(form().fields)
