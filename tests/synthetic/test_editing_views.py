"""The console's editor of checks: fields by type, errors at their fields, trying out, switching, deleting."""

from __future__ import annotations

import pytest
from django.urls import reverse

from synthetic.models import CheckType, SyntheticCheck
from tests.pages import HTMX, Page, opened
from wedsync_monitor import secrets
from wedsync_monitor.models import AuditEntry
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database")
NEW = "/admin/monitoring/synthetic/new"
COMMON = {
    "check_name": "booking", "is_enabled": "on", "check_frequency": "30", "timeout_seconds": "5",
    "retry_attempts": "1", "failure_threshold": "2", "success_threshold": "1", "business_impact_score": "3",
    "slo_target_percent": "99.5", "alert_on_failure": "on",
}  # fmt: skip
HTTP = COMMON | {
    "target_url": "https://booking.example/", "method": "POST", "headers": "Authorization: Bearer abc\nX-Team: ops",
    "expected_status_codes": "200, 301-302", "verify_tls": "on", "follow_redirects": "on",
    "other_settings": '{"max_redirects": 2}',
}  # fmt: skip


@pytest.fixture
def sre(signed_in):
    return signed_in(Role.SRE)


@pytest.fixture
def booking(sre):
    sre.post(NEW, HTTP)
    return SyntheticCheck.objects.get()


def at(name, check):
    return reverse(f"console:{name}", args=[check.pk])


def test_a_check_is_made_from_fields_and_audited(sre, booking):
    config = secrets.reveal(booking.check_config)
    assert config == {
        "method": "POST", "headers": {"Authorization": "Bearer abc", "X-Team": "ops"},
        "expected_status_codes": [200, "301-302"], "max_redirects": 2,
    }  # fmt: skip
    assert (booking.check_frequency, booking.failure_threshold) == (30, 2)
    assert booking.created_by is not None
    assert AuditEntry.objects.filter(object_id=str(booking.pk)).exists()


def test_a_saved_form_keeps_secrets_that_it_never_shows(sre, booking):
    page = opened(sre, at("check-edit", booking))
    assert "Bearer abc" not in page.html
    assert "Authorization: ********" in page.html
    masked = HTTP | {"headers": "Authorization: ********", "check_frequency": "45"}
    assert sre.post(at("check-edit", booking), masked).status_code == 302
    booking.refresh_from_db()
    assert secrets.reveal(booking.check_config)["headers"] == {"Authorization": "Bearer abc"}
    moved = Page(sre.post(at("check-edit", booking), masked | {"target_url": "https://elsewhere.example/"}))
    assert "Enter the secret again" in moved.beside("headers")


@pytest.mark.parametrize(
    ("kind", "sent", "field", "text"),
    [
        ("http", {"target_url": ""}, "target_url", "needs target_url"),
        ("http", {"expected_status_codes": "999"}, "expected_status_codes", "<= 599"),
        ("http", {"headers": "no colon"}, "headers", "Name: value"),
        ("http", {"assertions": "[1"}, "assertions", "JSON"),
        ("http", {"other_settings": '{"max_redirect": 1}'}, "other_settings", "max_redirects"),
        ("http", {"other_settings": "[]"}, "other_settings", "Expected `object`"),
        ("http", {"check_frequency": "0"}, "check_frequency", "from 1 to 86400"),
        ("tcp", {"target_host": "db.example", "target_port": ""}, "target_port", "needs target_port"),
        ("dns", {"target_host": "booking.example", "dns_record_type": "X"}, "dns_record_type", "valid choice"),
    ],
)
def test_an_error_stands_at_its_field(sre, kind, sent, field, text):
    page = Page(sre.post(f"{NEW}?type={kind}", HTTP | sent))
    assert page.status == 422
    assert text in page.beside(field)
    assert not SyntheticCheck.objects.exists()


@pytest.mark.parametrize("kind", CheckType.values)
def test_the_form_of_every_type_makes_a_check_of_that_type_without_more_than_a_target(sre, kind):
    page = opened(sre, NEW, {"type": kind})
    assert "try-check-btn" in page.testids
    target = {"target_host": "booking.example", "target_port": "443", "target_url": "https://booking.example/"}
    shown = {"follow_redirects": "on", "verify_tls": "on"}
    assert sre.post(f"{NEW}?type={kind}", COMMON | target | shown).status_code == 302
    check = SyntheticCheck.objects.get()
    assert (check.check_type, check.check_config) == (kind, {})


def test_trying_says_how_it_went_and_keeps_nothing(sre, target):
    url = reverse("console:check-try")
    sent = HTTP | {"check_name": "", "method": "GET", "target_url": target.url, "expected_status_codes": "200"}
    good = Page(sre.post(url, sent, headers=HTMX))
    assert "HTTP 200" in good.text
    assert "First byte" in good.text
    bad = Page(sre.post(url, sent | {"expected_content": "Divorces"}, headers=HTMX))
    assert "Divorces" in bad.text
    assert "failure" in bad.text
    refused = Page(sre.post(url, sent | {"target_url": ""}, headers=HTMX))
    assert "Correct the form first" in refused.text
    assert not SyntheticCheck.objects.exists()


def test_a_check_is_switched_off_and_on_and_deleted(sre, booking):
    sre.post(at("check-switch", booking), {"enabled": "no"})
    assert not SyntheticCheck.objects.get().is_enabled
    sre.post(at("check-switch", booking), {"enabled": "yes"})
    assert SyntheticCheck.objects.get().is_enabled
    assert "booking" in opened(sre, at("check-delete", booking)).text
    sre.post(at("check-delete", booking))
    assert not SyntheticCheck.objects.exists()
    assert AuditEntry.objects.filter(object_id=str(booking.pk)).count() == 4
