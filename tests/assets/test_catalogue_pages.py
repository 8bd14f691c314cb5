"""The metric catalogue as people and programs read it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from assets.models import CatalogueEntry, SeriesUsage
from tests.pages import opened, queries_of
from tests.wedsync_monitor import stored
from wedsync_monitor.models import AuditEntry
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
PAGE, API = "/admin/monitoring/assets/catalogue", "/api/monitoring/metrics/catalogue"


@pytest.fixture
def entries(now):
    def make(name: str, **columns):
        defaults: dict[str, Any] = {
            "metric_types": ["gauge"],
            "metric_units": ["percent"],
            "collection_methods": ["agent"],
        }
        defaults |= {"first_seen": now, "last_seen": now}
        return CatalogueEntry.objects.create(metric_name=name, **(defaults | columns))

    make("cpu_usage_percent", series=20, assets=10, agents=10)
    make("http.requests/total", series=900, metric_types=["counter"], labels={"path": 450, "code": 2})
    make("checkout_seconds", meaning="How long couples wait to pay.", refused=7)
    return make


@pytest.fixture
def sre(signed_in):
    return signed_in(Role.SRE)


def listed(api, **query):
    answer = api(Role.VIEWER).get(API, query)
    assert answer.status_code == 200, answer.content
    return [one["metric_name"] for one in answer.json()["metrics"]]


def test_the_list_says_what_is_stored_and_what_it_means(api, entries):
    answer = api(Role.VIEWER).get(API)
    cpu = next(one for one in answer.json()["metrics"] if one["metric_name"] == "cpu_usage_percent")
    assert cpu["meaning"] == "Share of the processors' time in which they were busy."
    assert (cpu["series"], cpu["assets"], cpu["agents"], cpu["metric_units"]) == (20, 10, 10, ["percent"])
    assert answer["X-Total-Count"] == "3"


def test_the_list_is_found_filtered_and_ordered(api, entries):
    assert listed(api, q="cpu") == ["cpu_usage_percent"]
    assert listed(api, metric_type="counter") == ["http.requests/total"]
    assert listed(api, collection_method="push") == []
    assert listed(api, ordering="-series")[0] == "http.requests/total"
    assert api(Role.VIEWER).get(API, {"metric_type": "speed"}).status_code == 400
    assert api(Role.VIEWER).get(API, {"typo": "x"}).status_code == 400


def test_one_metric_comes_with_its_labels_and_senders(api, entries):
    stored.metric(1)
    found = api(Role.VIEWER).get(f"{API}/cpu_usage_percent").json()
    assert [one["asset_name"] for one in found["senders"]] == ["web-1"]
    assert api(Role.VIEWER).get(f"{API}/http.requests/total").json()["labels"] == {"path": 450, "code": 2}
    assert api(Role.VIEWER).get(f"{API}/nothing").status_code == 404


def test_the_page_lists_finds_and_sorts(sre, entries):
    page = opened(sre, PAGE)
    for text in ("cpu_usage_percent", "busy", "How long couples wait to pay.", "7 refused"):
        assert text in page.text
    found = opened(sre, PAGE, {"q": "wait to pay"}, htmx=True)
    assert not found.is_whole
    assert "checkout_seconds" in found.text
    assert "cpu_usage_percent" not in found.text
    by_series = opened(sre, PAGE, {"sort": "series"}).text
    assert by_series.index("http.requests/total") < by_series.index("cpu_usage_percent")


def test_the_page_says_who_is_refused(sre, asset, now):
    SeriesUsage.objects.create(asset=asset("web-01"), refused=12, refused_at=now, example="hits{path=/x}")
    text = opened(sre, PAGE).text
    for part in ("New series were refused at a limit.", "Tokens on web-01: 12 times", "hits{path=/x}"):
        assert part in text


def test_the_page_of_a_metric_shows_its_labels(sre, entries):
    text = opened(sre, f"{PAGE}/http.requests/total").text
    assert "path 450" in text
    assert "No series is stored any more." in text
    assert sre.get(f"{PAGE}/nothing").status_code == 404


def test_pages_take_the_same_queries_however_much_there_is(sre, api, entries, asset, now):
    few = queries_of(sre, PAGE), queries_of(sre, f"{PAGE}/cpu_usage_percent"), queries_of(api(Role.SRE), API)
    for n in range(60):
        entries(f"metric_{n}", last_seen=now - timedelta(minutes=n))
        SeriesUsage.objects.create(asset=asset(f"web-{n}"), refused=1, refused_at=now)
    many = queries_of(sre, PAGE), queries_of(sre, f"{PAGE}/cpu_usage_percent"), queries_of(api(Role.SRE), API)
    assert few == many
    assert max(many) <= 8


def test_the_agents_say_how_many_series_they_have(api, now):
    agent = stored.agent(1)
    SeriesUsage.objects.create(asset=agent.asset, agent=agent, series=40, refused=3, refused_at=now)
    said = api(Role.SRE).get(f"/api/monitoring/agents/{agent.pk}").json()
    assert (said["series"], said["series_refused"], said["max_series"]) == (40, 3, None)
    changed = api(Role.SRE).patch(f"/api/monitoring/agents/{agent.pk}", {"max_series": 50}, format="json")
    assert changed.json()["max_series"] == 50
    refused = api(Role.SRE).patch(f"/api/monitoring/agents/{agent.pk}", {"max_series": 0}, format="json")
    assert refused.status_code == 400


def test_a_meaning_is_written_in_the_admin_and_audited(sre, signed_in, entries):
    url = "/admin/assets/catalogueentry/checkout_5Fseconds/change/"
    CatalogueEntry.objects.filter(pk="checkout_seconds").update(series=5)
    assert sre.post(url, {"meaning": "Time to pay."}).status_code == 302
    kept = CatalogueEntry.objects.get(pk="checkout_seconds")
    assert (kept.meaning, kept.series) == ("Time to pay.", 5)
    (entry,) = AuditEntry.objects.filter(table_name="metric_catalogue", action="change")
    assert entry.changes == {"meaning": ["How long couples wait to pay.", "Time to pay."]}
    assert signed_in(Role.VIEWER).post(url, {"meaning": "No."}).status_code == 403
