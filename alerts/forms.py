"""The console's forms: acknowledge, resolve, and a rule with one condition and the usual channels."""

from __future__ import annotations

from typing import Any, get_args

from django import forms

from alerts import conditions
from alerts.models import AlertRule
from assets.forms import Sections, style
from assets.models import AssetType, Environment
from wedsync_monitor import outgoing, schema, secrets
from wedsync_monitor.structured import problem_with


class AcknowledgeForm(forms.Form):
    note = forms.CharField(
        label="Acknowledgment Note",
        required=False,
        max_length=5000,
        widget=forms.Textarea(attrs={"rows": 3, "data-testid": "ack-note"}),
    )
    estimated_minutes = forms.IntegerField(
        label="Estimated resolution time",
        required=False,
        min_value=1,
        max_value=43200,
        help_text="Minutes. When they have passed and it still lasts, people are told again.",
    )

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        style(self)


class ResolveForm(forms.Form):
    notes = forms.CharField(label="What was done", max_length=5000, widget=forms.Textarea(attrs={"rows": 3}))
    root_cause = forms.CharField(label="Root cause", required=False, max_length=5000)
    false_positive = forms.BooleanField(label="A false positive: there was no trouble", required=False)

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        style(self)


def _choices(kind: Any, labels: dict[str, str] | None = None) -> list[tuple[str, str]]:
    return [(value, (labels or {}).get(value, value)) for value in get_args(kind)]


AGGREGATIONS = {"avg": "Average", "max": "Highest", "min": "Lowest", "sum": "Sum", "count": "Number of samples"}
# Where the form shows what is wrong with a column that it makes from several fields.
SHOWN_BESIDE = {
    "metric_conditions": "metric_name",
    "asset_filter": "asset_names",
    "anomaly_config": "baseline_days",
    "threshold_config": "consecutive_breaches",
    "notification_channels": "webhook_url",
}


class RuleForm(Sections, forms.ModelForm):  # type: ignore[type-arg]
    """A threshold rule. It edits the first condition and the first email and webhook channel; further conditions and
    other channels of the rule, which the API and the admin can set, stay as they are."""

    sections: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("Rule", ("rule_name", "severity", "rule_description", "business_impact", "runbook_url", "is_enabled")),
        (
            "Condition",
            (
                "metric_name", "aggregation", "operator", "threshold", "time_window", "evaluation_frequency",
                "consecutive_breaches", "recovery_threshold",
            ),
        ),
        ("Assets", ("environments", "asset_types", "asset_names")),
        ("At other times", ("profiles",)),
        ("Who is told", ("email_recipients", "webhook_url", "webhook_secret")),
    )  # fmt: skip
    metric_name = forms.CharField(label="Metric", max_length=200, help_text="For example cpu_usage_percent.")
    aggregation = forms.ChoiceField(choices=_choices(conditions.Aggregation, AGGREGATIONS))
    operator = forms.ChoiceField(choices=_choices(conditions.Operator, conditions.SYMBOLS))
    threshold = forms.FloatField()
    evaluation_frequency = forms.IntegerField(
        label="Evaluated every", min_value=1, max_value=86400, help_text="Seconds."
    )
    time_window = forms.IntegerField(
        label="Over the last", min_value=1, max_value=2678400, initial=300, help_text="Seconds."
    )
    consecutive_breaches = forms.IntegerField(min_value=1, max_value=1000, initial=1, help_text="Evaluations in a row.")
    recovery_threshold = forms.FloatField(required=False, help_text="Recovers only past this value.")
    environments = forms.MultipleChoiceField(required=False, choices=Environment.choices, help_text="None means all.")
    asset_types = forms.MultipleChoiceField(required=False, choices=AssetType.choices, help_text="None means all.")
    asset_names = forms.CharField(required=False, help_text="With commas between them. None means all.")
    email_recipients = forms.CharField(required=False, help_text="Addresses with commas between them.")
    webhook_url = forms.CharField(label="Webhook URL", required=False, max_length=2000)
    webhook_secret = forms.CharField(
        required=False, help_text="Signs what is sent.", widget=forms.PasswordInput(render_value=True)
    )

    class Meta:
        model = AlertRule
        formfield_callback = schema.formfield
        fields = ["rule_name", "rule_description", "severity", "evaluation_frequency", "business_impact", "runbook_url",
                  "is_enabled", "profiles"]  # fmt: skip
        help_texts = {
            "profiles": 'The first that holds counts. For example [{"name": "weekend", "timezone": "Europe/Berlin", '
            '"days": ["sat", "sun"], "start": "08:00", "end": "20:00", "thresholds": [95], "severity": "low"}, '
            '{"name": "winter", "first_date": "11-01", "last_date": "03-15", "off": true}]. Also consecutive_breaches, '
            "recovery_threshold, and sensitivity of anomaly rules."
        }
        labels = {"profiles": "Profiles (JSON)", "runbook_url": "Runbook URL", "is_enabled": "Enabled"}
        widgets = {
            "rule_name": forms.TextInput(),
            "rule_description": forms.TextInput(),
            "business_impact": forms.TextInput(),
            "runbook_url": forms.TextInput(),
        }

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        for name, value in self._stored().items():
            if value is not None and name in self.fields:
                self.fields[name].initial = value
        style(self)

    def _stored(self) -> dict[str, Any]:
        rule = self.instance
        first = (rule.metric_conditions or [{}])[0] if rule.pk else {}
        names = ("metric_name", "aggregation", "operator", "threshold", "time_window")
        config, chosen = rule.threshold_config or {}, rule.asset_filter or {}
        stored: dict[str, Any] = {name: first.get(name) for name in names}
        stored |= {name: config.get(name) for name in ("consecutive_breaches", "recovery_threshold")}
        stored |= {name: chosen.get(name) for name in ("environments", "asset_types")}
        stored["asset_names"] = ", ".join(chosen.get("asset_names", []))
        stored["email_recipients"] = ", ".join(self._channel("email").get("recipients", []))
        webhook = secrets.mask(self._channel("webhook"))
        return stored | {"webhook_url": webhook.get("url"), "webhook_secret": webhook.get("secret")}

    def _channel(self, kind: str) -> dict[str, Any]:
        channels = self.instance.notification_channels or []
        return next((one["config"] for one in channels if one["type"] == kind), {})

    def clean_email_recipients(self) -> str:
        text: str = self.cleaned_data["email_recipients"]
        if text and problem_with(conditions.EmailConfig, {"recipients": _split(text)}):
            raise forms.ValidationError("Write at most 50 addresses such as ops@example.com, with commas between them.")
        return text

    def clean_webhook_url(self) -> str:
        url: str = self.cleaned_data["webhook_url"]
        if url and problem_with(conditions.WebhookConfig, {"url": url}):
            raise forms.ValidationError("Write an address that begins with http:// or https://.")
        if problem := outgoing.refusal_of_url(url):
            raise forms.ValidationError(f"{problem}.")
        stored = self._channel("webhook")
        if url and stored.get("headers") and url != stored["url"]:
            raise forms.ValidationError("This webhook has secret headers: change its address in the configuration.")
        return url

    def clean_webhook_secret(self) -> str:
        secret: str = self.cleaned_data["webhook_secret"]
        stored = self._channel("webhook")
        if secret == secrets.MASK and self.cleaned_data.get("webhook_url") != stored.get("url"):
            raise forms.ValidationError("Enter the secret again: it is kept for the address that it was entered for.")
        return secret

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        rule = self.instance
        rule.metric_conditions = self._conditions(cleaned)
        config = dict(rule.threshold_config or {}) | {"consecutive_breaches": cleaned["consecutive_breaches"]}
        config.pop("recovery_threshold", None)
        if cleaned.get("recovery_threshold") is not None:
            config["recovery_threshold"] = cleaned["recovery_threshold"]
        rule.threshold_config = config
        rule.asset_filter = self._filter(cleaned)
        rule.notification_channels = self._channels(cleaned)
        return cleaned

    def _conditions(self, cleaned: dict[str, Any]) -> list[dict[str, Any]]:
        names = ("metric_name", "aggregation", "operator", "threshold", "time_window")
        rest = (self.instance.metric_conditions or [])[1:] if self.instance.pk else []
        return [{name: cleaned[name] for name in names}, *rest]

    def _filter(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        parts = {
            "environments": cleaned["environments"],
            "asset_types": cleaned["asset_types"],
            "asset_names": _split(cleaned["asset_names"]),
            "tags": (self.instance.asset_filter or {}).get("tags"),
        }
        return {name: value for name, value in parts.items() if value}

    def _channels(self, cleaned: dict[str, Any]) -> list[dict[str, Any]]:
        """The channels in the order they had: a channel's place on its rule is how its messages are known."""
        wanted: dict[str, dict[str, Any]] = {}
        if recipients := _split(cleaned["email_recipients"]):
            wanted["email"] = {"recipients": recipients}
        if cleaned["webhook_url"]:
            stored = self._channel("webhook")
            secret = cleaned["webhook_secret"]
            kept = stored.get("secret", "") if secret == secrets.MASK else secret
            wanted["webhook"] = {**stored, "url": cleaned["webhook_url"], **({"secret": kept} if kept else {})}
        channels, seen = [], set()
        for one in self.instance.notification_channels or []:
            if one["type"] in ("email", "webhook") and one["type"] not in seen:
                seen.add(one["type"])
                one = {**one, "config": wanted[one["type"]]} if one["type"] in wanted else None
            if one:
                channels.append(one)
        return channels + [{"type": kind, "config": config} for kind, config in wanted.items() if kind not in seen]

    def _update_errors(self, errors: forms.ValidationError) -> None:
        """What the rule says of a column stands beside the field that the column is made from."""
        if hasattr(errors, "error_dict"):
            beside = {name: name if name in self.fields else SHOWN_BESIDE.get(name, name) for name in errors.error_dict}
            errors.error_dict = {beside[name]: found for name, found in errors.error_dict.items()}
        super()._update_errors(errors)  # type: ignore[misc]

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return  # `clean` has not made the columns
        for name, beside in SHOWN_BESIDE.items():
            field = self.instance._meta.get_field(name)
            try:
                field.clean(getattr(self.instance, name), self.instance)
            except forms.ValidationError as error:
                self.add_error(beside if beside in self.fields else None, error)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
