"""Every URL × role × verb: nobody gets past the policy, and everybody gets as far as it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from assets import authentication
from tests.wedsync_monitor import stored
from wedsync_monitor import policy, tokens
from wedsync_monitor.models import AuditEntry
from wedsync_monitor.policy import Role, Verb
from wedsync_monitor.web.admin_site import PolicyAdminMixin, ReadOnlyModelAdmin
from wedsync_monitor.web.permissions import verb_of

# Open to everybody, or (home) only a redirection: each has its reason.
OPEN = {
    "home", "monitoring", "start",  # send on to the first tab that the person may open
    "login", "logout", "favicon",
    "acknowledge-link",  # its token is the key (tests.alerts.test_links)
    "healthz", "readyz", "own-metrics",  # asked by programs that hold no key; say nothing of what is monitored
    "ping", "ping-start", "ping-fail", "ping-log", "ping-exited",  # the key in the address is what admits
    "influx-ping", "influx-ping-v2", "influx-health",  # asked by Influx clients before they show their key
    "schema", "docs",  # the same for everybody
}  # fmt: skip
# What holds an agent key or an enrolment token, and no person (tests.assets.test_agents_api, …metrics.test_endpoint).
FOR_AGENTS = {"enrol", "heartbeat", "agent-configuration", "rotate-key", "offer", "agent-checks", "agent-check-results"}
# What takes agents' keys and the tokens of people with the verb SEND (tests.assets.metrics).
WAYS_IN = {"metrics", "prometheus-write", "influx-write", "otlp-metrics"}
REST = ("/api/monitoring/", "/api/v1/")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ROLES: tuple[Role | None, ...] = (*Role, None)


def patterns(resolver: URLResolver, prefix: str = "/") -> Iterator[tuple[str, URLPattern]]:
    """Every route but those of Django's admin, which has its own door."""
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern).lstrip("^")
        if isinstance(entry, URLPattern):
            yield route, entry
        elif entry.namespace != "admin":
            yield from patterns(entry, route)


def view_of(pattern: URLPattern) -> Any:
    """The class or function that says what policy it obeys."""
    return getattr(pattern.callback, "cls", None) or getattr(pattern.callback, "view_class", None) or pattern.callback


def methods_of(view: Any) -> list[str]:
    """The methods that a view answers; none where it names no policy."""
    if not hasattr(view, "policy_resource"):
        return []
    if isinstance(view, type):
        allowed = [name.upper() for name in view.http_method_names if hasattr(view, name)]  # type: ignore[attr-defined]
        return [method for method in METHODS if method in allowed]
    return list(view.policy_verbs)


OURS = list(patterns(get_resolver()))
GUARDED = [(route, one) for route, one in OURS if one.name not in OPEN | FOR_AGENTS | WAYS_IN]
FOR_AGENTS_ONLY = sorted(route for route, one in OURS if one.name in FOR_AGENTS - {"enrol"})
WALK = [
    pytest.param(route, view_of(one), method, id=f"{method} {route}")
    for route, one in GUARDED
    for method in methods_of(view_of(one))
]


def address(route: str) -> str:
    return re.sub(r"<uuid:\w+>", lambda _: str(uuid4()), route).replace("<int:version>", "1")


# The row that a route with a key is about, by the beginning of the route; the first that fits.
ROWS = {
    "/api/monitoring/alerts/rules/": "alerts.AlertRule",
    "/api/monitoring/alerts/instances/": "alerts.AlertInstance",
    "/api/monitoring/alerts/deliveries/": "alerts.NotificationDelivery",
    "/api/monitoring/alerts/escalation-policies/": "alerts.EscalationPolicy",
    "/api/monitoring/alerts/baselines/": "alerts.PerformanceBaseline",
    "/api/monitoring/alerts/on-call/schedules/": "alerts.OnCallSchedule",
    "/api/monitoring/alerts/on-call/overrides/": "alerts.OnCallOverride",
    "/api/monitoring/alerts/silences/": "alerts.Silence",
    "/api/monitoring/alerts/<": "alerts.AlertInstance",
    "/api/monitoring/maintenance-windows/": "alerts.MaintenanceWindow",
    "/api/monitoring/assets/": "assets.InfrastructureAsset",
    "/api/monitoring/discoveries/": "assets.Discovery",
    "/api/monitoring/heartbeats/": "assets.Heartbeat",
    "/api/monitoring/scrape-jobs/": "assets.ScrapeJob",
    "/api/monitoring/scrape-targets/": "assets.ScrapeTarget",
    "/api/monitoring/agents/": "assets.MonitoringAgent",
    "/api/monitoring/synthetic/checks/": "synthetic.SyntheticCheck",
    "/api/monitoring/capacity/forecasts/": "capacity.CapacityForecast",
    "/api/monitoring/remediation/actions/": "remediation.RemediationAction",
    "/api/monitoring/remediation/executions/": "remediation.RemediationExecution",
    "/api/monitoring/dashboards/": "wedsync_monitor.MonitoringDashboard",
    "/api/monitoring/tokens/": "wedsync_monitor.ApiToken",
    "/admin/monitoring/assets/": "assets.InfrastructureAsset",
    "/admin/monitoring/alerts/rules/": "alerts.AlertRule",
    "/admin/monitoring/alerts/maintenance/": "alerts.MaintenanceWindow",
    "/admin/monitoring/alerts/on-call/overrides/": "alerts.OnCallOverride",
    "/admin/monitoring/alerts/silences/": "alerts.Silence",
    "/admin/monitoring/alerts/": "alerts.AlertInstance",
    "/admin/monitoring/synthetic/": "synthetic.SyntheticCheck",
}
NUMBERS = count(1)


def row_of(route: str) -> Any:
    """A new row of the kind that `route` is about."""
    label = next(label for start, label in ROWS.items() if route.startswith(start))
    return stored.MAKE[label](next(NUMBERS))


def address_of(route: str, row: Any) -> str:
    """The route with the row's key, and with the key of one of its own where it asks for two."""
    path = route.replace("<uuid:pk>", str(row.pk))
    if "<int:version>" in path:
        path = path.replace("<int:version>", str(AuditEntry.objects.filter(object_id=str(row.pk)).latest("id").pk))
    if "<uuid:key_id>" in path:
        path = path.replace("<uuid:key_id>", str(authentication.issue_key(row, stored.NOW)[0].pk))
    return path


def test_every_route_names_the_resource_that_it_obeys():
    bypassing = [route for route, one in GUARDED if not hasattr(view_of(one), "policy_resource")]
    assert bypassing == []
    unknown = [route for route, one in GUARDED if view_of(one).policy_resource not in policy.declared()]
    assert unknown == []


def test_every_exception_is_a_route_that_exists():
    assert {one.name for _, one in OURS} >= OPEN | FOR_AGENTS | WAYS_IN


@pytest.mark.parametrize(("route", "view", "method"), [one for one in WALK if "<uuid:" not in str(one.values[0])])
def test_a_role_gets_as_far_as_the_policy_says(person, route, view, method):
    verb = verb_of(view, method)
    assert verb is not None
    for role in ROLES:
        someone = person(*([role] if role else []))
        client = APIClient() if route.startswith(REST) else Client()
        client.force_login(someone)
        answer = client.generic(method, address(route), "{}", content_type="application/json")
        if policy.may(someone, verb, view.policy_resource):
            assert answer.status_code not in (401, 403, 500), role
        else:
            assert answer.status_code == 403, role


WITH_ROW = [one for one in WALK if "<uuid:" in str(one.values[0])]


@pytest.mark.parametrize(("route", "view", "method"), WITH_ROW)
def test_a_role_reaches_the_rows_that_the_policy_gives_it_and_no_others(person, route, view, method):
    verb = verb_of(view, method)
    assert verb is not None
    for role in ROLES:
        someone = person(*([role] if role else []))
        row = row_of(route)
        reached = policy.may(someone, verb, view.policy_resource) and _owns(someone, verb, view.policy_resource, row)
        client = APIClient() if route.startswith(REST) else Client()
        client.force_login(someone)
        answer = client.generic(method, address_of(route, row), "{}", content_type="application/json")
        if reached:
            assert answer.status_code not in (401, 403, 404, 500), role
        else:
            assert answer.status_code in (403, 404), role


def _owns(someone: Any, verb: Verb, resource: str, row: Any) -> bool:
    """Whether `verb` is this person's on this row, as far as the resource filters rows."""
    filtered = resource == policy.resource_of(type(row)) and verb in policy.declared()[resource].rows
    return not filtered or policy.may_row(someone, verb, resource, row)


@pytest.mark.parametrize("route", sorted({str(one.values[0]) for one in WITH_ROW}))
def test_a_view_of_a_row_asks_the_policy_for_it(person, route, monkeypatch):
    """With a policy that gives nobody any row, nobody reaches one."""
    someone = person(Role.SYSTEM_ADMIN)
    row = row_of(route)
    url = address_of(route, row)
    monkeypatch.setattr(policy, "permitted", lambda person, verb, resource, rows: rows.none())
    monkeypatch.setattr(policy, "may_row", lambda *_: False)
    client = APIClient() if route.startswith(REST) else Client()
    client.force_login(someone)
    methods = [one.values[2] for one in WITH_ROW if one.values[0] == route]
    for method in methods:
        answer = client.generic(str(method), url, "{}", content_type="application/json")
        assert answer.status_code in (403, 404), method


@pytest.mark.parametrize("role", ROLES)
def test_who_may_send_metrics_with_a_token_of_their_own(person, role):
    someone = person(*([role] if role else []))
    token = tokens.issue(someone, "walk", stored.NOW)
    answer = Client().post(
        "/api/monitoring/metrics", b"{}", content_type="application/json", headers={"Authorization": f"Bearer {token}"}
    )
    if policy.may(someone, Verb.SEND, "metrics"):
        assert answer.status_code not in (401, 403, 500)
    else:
        assert answer.status_code == 403


@pytest.mark.parametrize("model", list(admin.site._registry), ids=lambda model: model._meta.label)
def test_the_admin_changes_and_deletes_what_the_policy_says(person, model):
    resource = policy.resource_of(model)
    assert resource is not None
    writable = not isinstance(admin.site._registry[model], ReadOnlyModelAdmin)
    row = stored.MAKE[model._meta.label](1)
    page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/{row.pk}"
    for role in Role:
        someone = person(role)
        client = Client()
        client.force_login(someone)
        may = {verb: policy.may_row(someone, verb, resource, row) for verb in (Verb.READ, Verb.CHANGE, Verb.DELETE)}
        opened = client.get(f"{page}/change/").status_code
        assert opened == (200 if may[Verb.READ] else 302 if policy.may(someone, Verb.READ, resource) else 403), role
        if not (may[Verb.CHANGE] and writable):
            assert client.post(f"{page}/change/", {}).status_code in (302, 403), role
        deleted = client.get(f"{page}/delete/").status_code
        if not (may[Verb.DELETE] and writable):
            assert deleted in (302, 403), role
            assert client.post(f"{page}/delete/", {"post": "yes"}).status_code in (302, 403), role
    assert model._base_manager.filter(pk=row.pk).exists()


@pytest.mark.parametrize("route", sorted({route for route, _ in GUARDED}))
def test_whoever_is_not_signed_in_gets_nothing(db, route):
    answer = Client().get(address(route))
    if route.startswith((*REST, "/api/v2/")):
        assert answer.status_code == 401
    elif answer.status_code != 405:
        assert answer.status_code == 302
        assert answer["Location"].startswith("/login?next=")


@pytest.mark.parametrize("role", ROLES)
def test_a_way_in_opens_to_people_who_may_send(person, role, now):
    someone = person(*([role] if role else []))
    secret = tokens.issue(someone, "test", now)
    ways = [(route, view_of(one)) for route, one in OURS if one.name in WAYS_IN]
    for route, view in ways:
        assert (view.policy_resource, view.policy_verbs) == ("metrics", {"POST": Verb.SEND})
        unknown = Client().post(route, b"\1", "text/x-nothing")
        answer = Client().post(route, b"\1", "text/x-nothing", headers={"Authorization": f"Bearer {secret}"})
        allowed = policy.may(someone, Verb.SEND, "metrics")
        assert (unknown.status_code, answer.status_code in (400, 415), answer.status_code == 403) == (
            401, allowed, not allowed,
        ), route  # fmt: skip


@pytest.mark.parametrize("route", FOR_AGENTS_ONLY)
def test_no_person_passes_for_an_agent(person, route):
    for role in ROLES:
        client = APIClient()
        client.force_login(person(*([role] if role else [])))
        for method in ("GET", "POST"):
            assert client.generic(method, route, "{}", content_type="application/json").status_code in (401, 403, 405)


def test_every_model_of_the_admin_belongs_to_a_resource():
    for model, page in admin.site._registry.items():
        assert isinstance(page, PolicyAdminMixin), model
        assert policy.resource_of(model) is not None, model
        for inline in page.inlines:
            assert issubclass(inline, PolicyAdminMixin), inline
            assert policy.resource_of(inline.model) is not None, inline


@pytest.mark.parametrize("role", ROLES)
def test_the_admin_opens_what_the_policy_says(person, role):
    someone = person(*([role] if role else []))
    client = Client()
    client.force_login(someone)
    for model in admin.site._registry:
        resource = policy.resource_of(model)
        assert resource is not None
        page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        listed = client.get(page)
        if role is None:
            assert (listed.status_code, listed["Location"].split("?")[0]) == (302, "/admin/login/")
            continue
        may_look = policy.may(someone, Verb.READ, resource)
        assert listed.status_code == (200 if may_look else 403), page
        if not policy.may(someone, Verb.CREATE, resource):
            assert client.get(f"{page}add/").status_code == 403, page
            assert client.post(f"{page}add/", {}).status_code == 403, page


@pytest.mark.parametrize("verb", list(Verb))
def test_a_stranger_may_nothing(verb):
    assert not any(policy.may(AnonymousUser(), verb, resource) for resource in policy.declared())
