"""The console's Assets tab: cards, filters, forms and budgets, for each role."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from assets.models import AssetHealth, InfrastructureAsset
from tests.pages import Page, opened, queries_of
from tests.wedsync_monitor import stored
from wedsync_monitor.policy import OPERATIONS, Role

pytestmark = pytest.mark.usefixtures("database")
URL = "/admin/monitoring/assets"
NEW = {
    "asset_name": "web-01", "asset_type": "server", "asset_category": "compute", "environment": "production",
    "location": "hall 3", "is_active": "on", "tag_list": "team:web, tier:1", "collection_interval": "30",
}  # fmt: skip


@pytest.fixture
def sre(signed_in):
    return signed_in(Role.SRE)


def health(asset, status, now, minutes=0):
    reported = now - timedelta(minutes=minutes)
    AssetHealth.objects.create(asset=asset, health_status=status, last_metric_timestamp=reported, assessed_at=now)


def names(page: Page, *known: str) -> list[str]:
    """Those of `known` that the page shows, in its order."""
    return sorted((name for name in known if name in page.text), key=page.text.index)


def test_a_card_says_what_the_specification_says(sre, asset, now):
    health(asset("web-01", is_critical=True), "healthy", now)
    page = opened(sre, URL)
    for text in ("web-01", "server • compute • production", "HEALTHY", "Critical", "Last Updated", "Active Alerts"):
        assert text in page.text
    for text in ("View Metrics", "Health Check", "Configure"):
        assert text in page.text
    assert {"view-metrics-btn", "health-check-btn", "configure-btn"} <= set(page.testids)


def test_an_asset_that_never_reported_says_so(sre, asset):
    asset("web-01")
    page = opened(sre, URL)
    assert "UNKNOWN" in page.text
    assert "No data" in page.text


def test_alerts_of_an_asset_are_counted_and_lead_to_them(sre):
    alert = stored.alert(1)
    page = opened(sre, URL)
    assert "1 alerts" in page.text
    link = next(link for link in page.links if "asset=" in link)
    assert alert.alert_title in opened(sre, link).text


@pytest.mark.parametrize("role", Role)
def test_only_those_who_may_are_offered_to_register_and_configure(signed_in, asset, role):
    web, client = asset("old"), signed_in(role)
    page, manages = opened(client, URL), role in OPERATIONS
    assert ("configure-btn" in page.testids) is manages
    assert ("Register asset" in page.text) is manages
    pages = {"new": reverse("console:asset-new"), "old": reverse("console:asset-configure", args=[web.pk])}
    for name, url in pages.items():
        assert client.get(url).status_code == (200 if manages else 403)
        assert client.post(url, NEW | {"asset_name": name}).status_code == (302 if manages else 403)


def test_a_person_without_a_role_does_not_see_assets(signed_in, asset, person):
    nobody = person()
    asset("web-01", created_by=nobody)
    assert signed_in(user=nobody).get(URL).status_code == 403


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["db-01", "mail-01", "web-01"]),
        ({"environment": "staging"}, ["mail-01"]),
        ({"environment": "moon"}, ["db-01", "mail-01", "web-01"]),
        ({"q": "WEB"}, ["web-01"]),
        ({"q": "a\0b"}, []),
        ({"health": "unhealthy"}, ["db-01"]),
        ({"health": "unknown"}, ["mail-01"]),
        ({"health": "nonsense"}, ["db-01", "mail-01", "web-01"]),
        ({"sort": "health"}, ["db-01", "mail-01", "web-01"]),
        ({"sort": "updated"}, ["web-01", "db-01", "mail-01"]),
        ({"sort": "password"}, ["db-01", "mail-01", "web-01"]),
        ({"page": "999"}, ["db-01", "mail-01", "web-01"]),
        ({"page": "x"}, ["db-01", "mail-01", "web-01"]),
    ],
)
def test_filter_search_and_order_are_in_the_url(sre, asset, now, query, expected):
    health(asset("web-01"), "healthy", now)
    health(asset("db-01"), "unhealthy", now, minutes=5)
    asset("mail-01", environment="staging")
    assert names(opened(sre, URL, query, htmx=True), "web-01", "db-01", "mail-01") == expected


def test_what_was_chosen_stays_in_the_forms_and_in_the_pages(sre, asset):
    for number in range(60):
        asset(f"web-{number:02}")
    page = opened(sre, URL, {"q": "web", "environment": "production", "sort": "health"})
    assert "1–50 of 60" in page.text
    assert any("q=web&environment=production&sort=health&page=2" in link for link in page.links)
    environment_form = page.html.split('name="environment"')[0].rsplit("<form", 1)[1]
    assert '<input type="hidden" name="q" value="web">' in environment_form
    assert "51–60 of 60" in opened(sre, URL, {"q": "web", "page": 2}).text


def test_nothing_found_says_what_to_do(sre):
    assert "No assets match" in opened(sre, URL).text


def test_htmx_gets_the_cards_and_everybody_else_the_page(sre, asset):
    asset("web-01")
    part, page = opened(sre, URL, htmx=True), opened(sre, URL)
    assert "web-01" in part.text
    assert not part.is_whole
    assert page.is_whole
    assert part.html in page.html
    for header in ("HX-Boosted", "HX-History-Restore-Request"):
        answer = sre.get(URL, headers={"HX-Request": "true", header: "true"})
        assert Page(answer).is_whole
        assert "HX-Request" in answer["Vary"]


def test_a_list_asks_no_more_for_thirty_assets_than_for_three(sre):
    for number in range(3):
        stored.alert(number)
    few = queries_of(sre, URL)
    for number in range(3, 30):
        stored.alert(number)
    assert queries_of(sre, URL) == few <= 10


def test_an_asset_is_registered(signed_in, person):
    operator = person(Role.OPS_ENGINEER)
    answer = signed_in(user=operator).post(reverse("console:asset-new"), NEW, follow=True)
    assert "web-01 is saved." in Page(answer).text
    made = InfrastructureAsset.objects.get()
    assert (made.tags, made.monitoring_config, made.provider) == (
        ["team:web", "tier:1"],
        {"collection_interval": 30},
        None,
    )
    assert made.created_by == operator


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"asset_name": ""}, "asset_name", "required"),
        ({"asset_name": "n" * 201}, "asset_name", "at most 200 characters"),
        ({"asset_name": "taken"}, "asset_name", "already exists"),
        ({"asset_type": "toaster"}, "asset_type", "not one of the available choices"),
        ({"collection_interval": "0"}, "collection_interval", "greater than or equal to 1"),
        ({"retention_days": "a lot"}, "retention_days", "whole number"),
        ({"tag_list": "t" * 300}, "tag_list", "200"),
    ],
)
def test_bad_input_is_refused_beside_its_field_and_nothing_typed_is_lost(sre, asset, change, field, says):
    asset("taken")
    page = Page(sre.post(reverse("console:asset-new"), NEW | change))
    assert page.status == 422
    assert says in page.beside(field)
    assert 'value="hall 3"' in page.html
    assert InfrastructureAsset.objects.count() == 1


def test_an_empty_form_is_refused(sre):
    assert "required" in Page(sre.post(reverse("console:asset-new"))).beside("asset_name")


def test_configuring_keeps_what_the_form_does_not_show(sre, asset):
    web = asset("web-01", configuration={"rack": 7}, monitoring_config={"slo_target_percent": 99.9})
    url = reverse("console:asset-configure", args=[web.pk])
    assert sre.post(url, NEW | {"location": ""}).status_code == 302
    web.refresh_from_db()
    assert web.configuration == {"rack": 7}
    assert web.monitoring_config == {"slo_target_percent": 99.9, "collection_interval": 30}
    assert web.location is None


def test_a_cycle_of_parents_is_refused_beside_the_parent(sre, asset):
    top = asset("rack")
    child = asset("host", parent_asset=top)
    url = reverse("console:asset-configure", args=[top.pk])
    page = Page(sre.post(url, NEW | {"asset_name": "rack", "parent_asset": str(child.pk)}))
    assert "rack → host → rack" in page.beside("parent_asset")


@pytest.mark.parametrize("way", ["console:asset-configure", "admin:assets_infrastructureasset_change"])
def test_parents_are_changed_by_one_at_a_time(sre, asset, way):
    web = asset("web-01")
    with CaptureQueriesContext(connection) as caught:
        sre.post(reverse(way, args=[web.pk]), NEW)
    statements = [one["sql"] for one in caught]
    locked = next(place for place, text in enumerate(statements) if "pg_advisory_xact_lock" in text)
    assert locked < next(place for place, text in enumerate(statements) if 'FROM "infrastructure_assets"' in text)


@pytest.mark.parametrize("name", ["asset-metrics", "asset-health", "asset-configure"])
def test_an_asset_that_there_is_not_is_a_404(sre, name):
    answer = sre.get(reverse(f"console:{name}", args=[uuid4()]))
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


def test_metrics_are_drawn_under_their_names_over_the_chosen_range(sre):
    sample = stored.metric(1)
    url = reverse("console:asset-metrics", args=[sample.asset_id])
    page = opened(sre, url, {"range": "24h"})
    assert "CPU Usage" in page.text
    assert f"/api/monitoring/assets/{sample.asset_id}/chart?metric=cpu_usage_percent&amp;range=24h" in page.html
    assert "There is no range" not in page.text
    other = opened(sre, url, {"range": "a while"})
    assert "range=1h" in other.html
    assert "There is no range “a while”: this is 1h." in other.text


def test_metrics_of_a_silent_asset_say_what_to_do(sre, asset):
    assert "No metrics yet" in opened(sre, reverse("console:asset-metrics", args=[asset().pk])).text


def test_health_of_a_silent_asset_is_unknown(sre, asset):
    url = reverse("console:asset-health", args=[asset().pk])
    page = opened(sre, url)
    assert page.is_whole
    assert "nothing is known" in page.text
    assert not opened(sre, url, htmx=True).is_whole
