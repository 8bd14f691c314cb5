"""The console's forms for absence and composite rules: what they ask is written as JSON in place of the condition."""

from __future__ import annotations

from typing import Any

from alerts.forms import RuleForm
from alerts.models import AlertRule, AlertType

_RULE, _, *_REST = RuleForm.sections
_HOW_OFTEN = ("evaluation_frequency", "consecutive_breaches")


class _KindForm(RuleForm):
    metric_name = aggregation = operator = threshold = None  # type: ignore[assignment]
    time_window = recovery_threshold = None  # type: ignore[assignment]

    def _conditions(self, cleaned: dict[str, Any]) -> list[dict[str, Any]]:
        return self.instance.metric_conditions or []


class AbsenceForm(_KindForm):
    sections = (_RULE, ("What is missed", ("absence_config", *_HOW_OFTEN)), *_REST)

    class Meta(RuleForm.Meta):
        fields = [*RuleForm.Meta.fields, "absence_config"]
        labels = RuleForm.Meta.labels | {"absence_config": "Absence (JSON)"}
        help_texts = {
            "absence_config": 'For example {"metric_name": "cpu_usage_percent", "when": "silent", "silent_seconds": 60}'
            "; when is silent, stopped, never_seen, or fewer_assets with expected_assets."
        }


class CompositeForm(_KindForm):
    sections = (_RULE, ("Parts", ("composite_config", *_HOW_OFTEN)), *_REST)

    class Meta(RuleForm.Meta):
        fields = [*RuleForm.Meta.fields, "composite_config"]
        labels = RuleForm.Meta.labels | {"composite_config": "Parts (JSON)"}
        help_texts = {
            "composite_config": 'For example {"require": "any", "parts": [{"kind": "rule", "rule_name": "High CPU"}, '
            '{"kind": "check", "check_name": "home"}]}; require is all, any, none, or at_least with at_least.'
        }


FORMS: dict[str, type[RuleForm]] = {AlertType.ABSENCE: AbsenceForm, AlertType.COMPOSITE: CompositeForm}


def form_for(rule: AlertRule) -> type[RuleForm]:
    """The form of the rule's type."""
    return FORMS.get(rule.alert_type, RuleForm)
