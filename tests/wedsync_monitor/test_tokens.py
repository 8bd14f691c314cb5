"""People's bearer tokens: stored as digests, limited by scope, and closed at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.test import APIClient

from assets.models import InfrastructureAsset
from wedsync_monitor import policy, tokens
from wedsync_monitor.models import ApiToken, AuditEntry, TokenScope
from wedsync_monitor.policy import Role, Verb

pytestmark = pytest.mark.usefixtures("database")
URL = "/api/monitoring/assets"
ASSET = {"asset_name": "web-01", "asset_type": "server", "asset_category": "compute", "environment": "production"}


@pytest.fixture
def ann(person):
    return person(Role.SRE, username="ann")


def client(secret: str) -> APIClient:
    return APIClient(HTTP_AUTHORIZATION=f"Bearer {secret}")


def detail_of(answer) -> str:
    assert answer["Content-Type"] == "application/problem+json"
    return answer.json()["detail"]


def test_a_token_does_what_its_person_may_and_leaves_their_name(ann, now):
    secret = tokens.issue(ann, "script", now)
    assert client(secret).post(URL, ASSET, format="json").status_code == 201
    assert InfrastructureAsset.objects.get().created_by == ann
    assert AuditEntry.objects.get(table_name="infrastructure_assets").actor == ann


def test_only_a_digest_is_stored_and_the_trail_has_not_even_that(ann, now):
    secret = tokens.issue(ann, "script", now)
    row = ApiToken.objects.get()
    assert bytes(row.digest) == tokens.digest(secret)
    assert secret.startswith("wst_")
    entry = AuditEntry.objects.get(table_name="api_tokens")
    assert "digest" not in entry.changes
    assert secret not in str(entry.changes)


def test_no_two_secrets_are_alike(ann, now):
    assert len({tokens.issue(ann, "script", now) for _ in range(20)}) == 20


@pytest.mark.parametrize("ended", ["expired", "revoked", "inactive", "unknown", "gone"])
def test_a_token_that_has_ended_opens_nothing(ann, now, ended):
    secret = tokens.issue(ann, "script", now)
    assert client(secret).get(URL).status_code == 200
    row = ApiToken.objects.get()
    if ended == "expired":
        row.expires_at = now
    if ended == "revoked":
        row.revoked_at = now
    row.save()
    if ended == "inactive":
        ann.is_active = False
        ann.save()
    if ended == "gone":
        row.delete()
    answer = client("wst_guessed" if ended == "unknown" else secret).get(URL)
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")
    assert "unknown, expired or revoked" in detail_of(answer)


def test_an_agents_key_is_told_that_it_cannot_read(person):
    assert "an agent's key sends its asset's metrics" in detail_of(client("wsa_some").get(URL))
    assert "an agent's key" in client("wsa_some").get("/api/v1/query?query=up").json()["error"]


def test_a_token_lives_until_its_last_second(ann, now):
    tokens.issue(ann, "script", now, lifetime=timedelta(seconds=1))
    assert ApiToken.objects.filter(tokens.valid(now + timedelta(milliseconds=999))).exists()
    assert not ApiToken.objects.filter(tokens.valid(now + timedelta(seconds=1))).exists()


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_a_token_that_reads_changes_nothing(ann, asset, now, method):
    secret, web = tokens.issue(ann, "dashboard", now, TokenScope.READ), asset("web-01")
    reader = client(secret)
    assert reader.get(URL).status_code == 200
    assert reader.get(f"{URL}/{web.pk}").status_code == 200
    url = URL if method == "post" else f"{URL}/{web.pk}"
    answer = getattr(reader, method)(url, {"asset_name": "other"}, format="json")
    assert answer.status_code == 403
    assert detail_of(answer) == "This token may only read."
    assert InfrastructureAsset.objects.get().asset_name == "web-01"


def sample(asset) -> dict[str, object]:
    return {"asset_id": str(asset.pk), "metric_name": "cpu_usage_percent", "metric_value": 1.0, "metric_type": "gauge"}


def test_a_token_that_sends_metrics_does_nothing_else(committed, ann, asset, now):
    secret, web = tokens.issue(ann, "sender", now, TokenScope.METRICS), asset("web-01")
    sent = client(secret).post("/api/monitoring/metrics", sample(web), format="json")
    assert (sent.status_code, sent.json()["accepted"]) == (200, 1)
    answer = client(secret).get(URL)
    assert answer.status_code == 403
    assert detail_of(answer) == "This token may only send metrics."


def test_a_token_that_reads_sends_no_metrics(ann, asset, now):
    secret, web = tokens.issue(ann, "dashboard", now, TokenScope.READ), asset("web-01")
    assert client(secret).post("/api/monitoring/metrics", sample(web), format="json").status_code == 403


def test_its_use_is_noted_but_not_at_every_request(ann, now):
    secret = tokens.issue(ann, "script", now)
    client(secret).get(URL)
    first = ApiToken.objects.get().last_used_at
    client(secret).get(URL)
    assert ApiToken.objects.get().last_used_at == first >= now
    ApiToken.objects.update(last_used_at=now - timedelta(minutes=6))
    client(secret).get(URL)
    assert ApiToken.objects.get().last_used_at >= first


@pytest.mark.parametrize(
    ("header", "secret"),
    [
        (b"Bearer abc", "abc"), (b"bearer  abc ", "abc"), (b"Bearer", None), (b"Bearer ", None), (b"", None),
        (b"Basic abc", None), (b"Bearer \xff", "\xff"),
    ],
)  # fmt: skip
def test_what_a_header_says(header, secret):
    assert tokens.bearer(header) == secret


@pytest.fixture
def clock(monkeypatch):
    """Moves the clock by which readers are remembered."""
    passed = [tokens.time.monotonic()]
    monkeypatch.setattr(tokens.time, "monotonic", lambda: passed[0])
    return lambda seconds: passed.__setitem__(0, passed[0] + seconds)


def test_a_reader_is_looked_up_once_and_a_revocation_is_felt_soon(ann, now, clock, django_assert_num_queries):
    header = f"Bearer {tokens.issue(ann, 'grafana', now)}".encode()
    assert tokens.reader_of(header, "GET") == ann
    with django_assert_num_queries(0):
        assert tokens.reader_of(header, "POST") == ann
    ApiToken.objects.update(revoked_at=now)
    clock(tokens.REMEMBERED_SECONDS + 1)
    with pytest.raises(AuthenticationFailed, match="revoked"):
        tokens.reader_of(header, "GET")


def test_a_role_that_is_taken_away_is_felt_as_soon(ann, now, clock):
    header = f"Bearer {tokens.issue(ann, 'grafana', now)}".encode()
    assert policy.may(tokens.reader_of(header, "GET"), Verb.READ, "metrics")
    ann.groups.clear()
    clock(tokens.REMEMBERED_SECONDS + 1)
    assert not policy.may(tokens.reader_of(header, "GET"), Verb.READ, "metrics")


def test_scopes_bind_remembered_readers_each_time(ann, now):
    reading = f"Bearer {tokens.issue(ann, 'grafana', now, TokenScope.READ)}".encode()
    sending = f"Bearer {tokens.issue(ann, 'collector', now, TokenScope.METRICS)}".encode()
    assert tokens.reader_of(reading, "POST") == ann
    for header, method in [(reading, "PUT"), (sending, "GET"), (sending, "GET")]:
        with pytest.raises(PermissionDenied):
            tokens.reader_of(header, method)
    assert tokens.reader_of(b"Negotiate abc", "GET") is None
