"""The console's forms for rules of other types: anomaly in fields, absence and composite as JSON."""

from __future__ import annotations

from typing import Any

from django import forms

from alerts import rule_kinds
from alerts.forms import AGGREGATIONS, RuleForm
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
        help_texts = RuleForm.Meta.help_texts | {
            "absence_config": 'For example {"metric_name": "cpu_usage_percent", "when": "silent", "silent_seconds": 60}'
            "; when is silent, stopped, never_seen, or fewer_assets with expected_assets."
        }


class CompositeForm(_KindForm):
    sections = (_RULE, ("Parts", ("composite_config", *_HOW_OFTEN)), *_REST)

    class Meta(RuleForm.Meta):
        fields = [*RuleForm.Meta.fields, "composite_config"]
        labels = RuleForm.Meta.labels | {"composite_config": "Parts (JSON)"}
        help_texts = RuleForm.Meta.help_texts | {
            "composite_config": 'For example {"require": "any", "parts": [{"kind": "rule", "rule_name": "High CPU"}, '
            '{"kind": "check", "check_name": "home"}]}; require is all, any, none, or at_least with at_least.'
        }


_ASKED = ("metric_name", "aggregation", "time_window", "sensitivity", "direction", "baseline_days")
_DIRECTIONS = {"both": "Above or below", "up": "Above", "down": "Below"}


class AnomalyForm(RuleForm):
    """What is unusual for one metric. A condition that the rule was made with becomes its anomaly_config."""

    sections = (_RULE, ("What is watched", (*_ASKED, *_HOW_OFTEN)), *_REST)
    operator = threshold = recovery_threshold = None  # type: ignore[assignment]
    aggregation = forms.ChoiceField(choices=[(name, AGGREGATIONS[name]) for name in ("avg", "max", "min")])
    time_window = forms.IntegerField(
        label="Over the last", min_value=1, max_value=3600, initial=300, help_text="Seconds."
    )
    sensitivity = forms.ChoiceField(
        choices=[(name, name.capitalize()) for name in ("low", "medium", "high")],
        initial="medium",
        help_text="High finds more, and more that is nothing.",
    )
    direction = forms.ChoiceField(choices=list(_DIRECTIONS.items()), help_text="Which side of what is expected.")
    baseline_days = forms.IntegerField(
        label="Compared with", min_value=1, max_value=365, initial=7,
        help_text="Days of history. From 21 days on, hours are compared by the day of the week.",
    )  # fmt: skip

    def _stored(self) -> dict[str, Any]:
        asked = rule_kinds.anomaly_of(self.instance) if self.instance.pk else None
        return super()._stored() | ({name: getattr(asked, name) for name in _ASKED} if asked else {})

    def _conditions(self, cleaned: dict[str, Any]) -> list[dict[str, Any]]:
        self.instance.anomaly_config = {name: cleaned[name] for name in _ASKED}
        return []


FORMS: dict[str, type[RuleForm]] = {
    AlertType.ANOMALY: AnomalyForm,
    AlertType.ABSENCE: AbsenceForm,
    AlertType.COMPOSITE: CompositeForm,
}


def form_for(rule: AlertRule) -> type[RuleForm]:
    """The form of the rule's type."""
    return FORMS.get(rule.alert_type, RuleForm)
