"""JSON columns: one declared structure on every way in."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from alerts.conditions import AssetFilter, Conditions
from alerts.models import AlertRule
from tests.wedsync_monitor import stored
from wedsync_monitor import secrets
from wedsync_monitor.models import MonitoringDashboard
from wedsync_monitor.structured import StructuredField, not_storable, problem_with


@pytest.mark.parametrize(
    ("structure", "value", "place"),
    [
        (AssetFilter, {"environments": ["moon"]}, "$.environments[0]"),
        (AssetFilter, {"colour": "red"}, "colour"),
        (Conditions, [{"metric_name": "m", "operator": "gt"}], "$[0]"),
        (Conditions, [{"metric_name": "m", "operator": "gt", "threshold": "1"}], "$[0].threshold"),
        (Conditions, {}, "Expected `array`"),
    ],
)
def test_a_problem_names_its_place(structure, value, place):
    assert place in (problem_with(structure, value) or "")


def test_what_fits_has_no_problem():
    assert problem_with(Conditions, [stored.CONDITION]) is None


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ({"a": "b\0"}, "NUL"), ({"\0": 1}, "NUL"), ([["\ud800"]], "surrogates"), ([float("nan")], "finite"),
        ([float("inf")], "finite"), ({"a": ["é", 1.5, None, True]}, None),
    ],
)  # fmt: skip
def test_what_postgresql_cannot_hold_is_told_before(value, advice):
    found = not_storable(value)
    assert advice in found if advice else found is None


def test_migrations_know_only_djangos_own_field():
    _, path, _, options = StructuredField(structure=AssetFilter, default=dict).deconstruct()
    assert (path, options) == ("django.db.models.JSONField", {"default": dict})


@pytest.mark.usefixtures("database")
class TestStored:
    def test_a_value_that_does_not_fit_is_not_saved_by_any_code(self):
        rule = stored.rule(1)
        rule.asset_filter = {"environments": ["moon"]}
        with pytest.raises(ValidationError) as refused, transaction.atomic():
            rule.save()
        assert list(refused.value.message_dict) == ["asset_filter"]
        rule.refresh_from_db()
        assert rule.asset_filter == {}

    def test_secrets_are_sealed_in_the_database(self):
        stored.rule(1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT notification_channels::text FROM alert_rules")
            (text,) = cursor.fetchone()
        assert stored.SECRET not in text
        assert text.count("sealed:v1:") == 3

    def test_a_mask_that_is_saved_keeps_what_is_stored(self):
        rule = stored.rule(1)
        before = rule.notification_channels
        rule.notification_channels = secrets.mask(before)
        rule.save()
        assert AlertRule.objects.get().notification_channels == before

    def test_a_mask_without_a_stored_secret_is_refused(self):
        with pytest.raises(ValidationError, match="Enter the secret again"):
            AlertRule.objects.create(
                rule_name="r", metric_conditions=[stored.CONDITION],
                notification_channels=[{"type": "slack", "config": {"webhook_url": secrets.MASK}}],
            )  # fmt: skip

    def test_an_empty_list_does_not_fit_a_column_of_objects(self):
        with pytest.raises(ValidationError) as refused:
            MonitoringDashboard(dashboard_name="d", access_control=[]).full_clean()
        assert list(refused.value.message_dict) == ["access_control"]
