"""The console's page for the configuration as a file."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from synthetic.models import SyntheticCheck
from tests.pages import Page, opened
from wedsync_monitor.policy import Role

pytestmark = pytest.mark.usefixtures("database", "furnished")
PAGE = "/admin/monitoring/configuration"
SHOP = "synthetic_checks:\n  shop: {check_type: http, target_url: 'https://example.com/shop'}\n"


def test_a_file_is_planned_and_then_applied(signed_in):
    browser = signed_in(Role.SRE)
    assert "/api/monitoring/config" in opened(browser, PAGE).links
    planned = Page(browser.post(PAGE, {"file": SimpleUploadedFile("a.yaml", SHOP.encode())}))
    assert "1 to create, 0 to change, 0 to delete; 0 as they are, 1 in no file." in planned.text
    assert "target_url (not there) https://example.com/shop" in planned.text
    assert "apply-configuration" in planned.testids
    assert not SyntheticCheck.objects.filter(check_name="shop").exists()
    applied = Page(browser.post(PAGE, {"content": SHOP, "prune": "on", "apply": "yes"}))
    assert "This was applied" in applied.text
    assert [check.check_name for check in SyntheticCheck.objects.all()] == ["shop"]
    assert "apply-configuration" not in Page(browser.post(PAGE, {"content": SHOP})).testids


@pytest.mark.parametrize("said", [SHOP.replace("http,", "tea,"), "a: [", "rules: {}", "a: \0"])
def test_what_cannot_be_applied_is_told_beside_what_was_written(signed_in, said):
    page = Page(signed_in(Role.SYSTEM_ADMIN).post(PAGE, {"content": said, "apply": "yes"}))
    assert (page.status, 'class="alert alert-danger"' in page.html) == (422, True)
    assert said.split("\0")[0].splitlines()[0] in page.text


def test_a_file_that_is_no_text_or_too_large_is_refused(signed_in, settings):
    browser = signed_in(Role.SRE)
    assert "UTF-8" in Page(browser.post(PAGE, {"file": SimpleUploadedFile("a.yaml", b"\xff")})).text
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    assert "at most 1000 bytes" in Page(browser.post(PAGE, {"file": SimpleUploadedFile("a.yaml", b"#" * 1001)})).text
