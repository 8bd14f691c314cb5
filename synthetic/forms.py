"""The console's forms for checks: fields for what each type of check mostly needs, JSON for the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

from django import forms

from assets.forms import Sections, style
from synthetic.models import CheckType, SyntheticCheck
from synthetic.structures import CheckConfig
from wedsync_monitor import schema, secrets
from wedsync_monitor.structured import MaskedJSONField

_TYPES = get_type_hints(CheckConfig)
_DEFAULTS = {name: getattr(CheckConfig(), name) for name in CheckConfig.__struct_fields__}
_PATH = re.compile(r"\$\.(\w+)")


class TextsField(forms.CharField):
    """A list of texts, with commas between them."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [word.strip() for word in (super().to_python(value) or "").split(",") if word.strip()]


class CodesField(TextsField):
    """A list of status codes, which are numbers, and of ranges of them."""

    def to_python(self, value: Any) -> Any:
        return [int(word) if re.fullmatch("[0-9]{1,9}", word) else word for word in super().to_python(value)]


class HeadersField(forms.CharField):
    """Headers as lines, `Name: value`; stored values are masked."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(f"{name}: {text}" for name, text in value.items()) if isinstance(value, dict) else value

    def to_python(self, value: Any) -> Any:
        found = {}
        for line in (super().to_python(value) or "").splitlines():
            name, colon, text = line.partition(":")
            if line.strip() and not (colon and name.strip()):
                raise forms.ValidationError("Write a line for each header: Name: value.")
            if line.strip():
                found[name.strip()] = text.strip()
        return found


def _choice(name: str, label: str, **options: Any) -> forms.ChoiceField:
    choices = [(value, value or "None") for value in get_args(_TYPES[name])]
    return forms.ChoiceField(label=label, choices=choices, required=False, **options)


def _number(label: str, low: int, high: int, **options: Any) -> forms.IntegerField:
    return forms.IntegerField(label=label, min_value=low, max_value=high, required=False, **options)


def _json(label: str, help_text: str, empty: Any = list) -> MaskedJSONField:
    return MaskedJSONField(label=label, required=False, help_text=help_text, when_empty=empty)


def _fields() -> dict[str, forms.Field]:
    """A new field for each setting of `check_config` that has one of its own, by its name there."""
    return {
        "method": _choice("method", "Method"),
        "headers": HeadersField(
            required=False, help_text="A line each, Name: value. {{secret:NAME}} stands for a stored secret."
        ),
        "body": forms.CharField(required=False, strip=False, widget=forms.Textarea(attrs={"rows": 3})),
        "follow_redirects": forms.BooleanField(label="Follow redirects", required=False),
        "verify_tls": forms.BooleanField(label="Verify the certificate", required=False),
        "expected_status_codes": CodesField(
            label="Expected status codes", required=False, help_text="For example 200, 301-302, 4xx. None: 2xx."
        ),
        "expected_content": forms.CharField(
            label="Expected content", required=False, strip=False, help_text="A text that the body has to contain."
        ),
        "expected_response_time_ms": _number("Within", 1, 300000, help_text="ms. Slower answers are failures."),
        "assertions": _json(
            "Assertions (JSON)", 'For example [{"source": "json", "path": "$.status", "op": "equals", "value": "ok"}].'
        ),
        "steps": _json(
            "Steps (JSON)",
            'One after the other, for example [{"name": "token", "method": "POST", "url": "/login", "body": "…", '
            '"extract": [{"name": "token", "source": "json", "path": "$.token"}]}, {"url": "/me", '
            '"headers": {"Authorization": "Bearer {{token}}"}}]. None: the URL alone.',
        ),
        "certificate_days_warning": _number("Certificate ends in", 0, 3650, help_text="Fewer days left are a failure."),
        "server_name": forms.CharField(
            label="Server name", required=False, help_text="Where the certificate is for another name than the host."
        ),
        "min_tls_version": _choice("min_tls_version", "At least TLS"),
        "starttls": _choice("starttls", "STARTTLS"),
        "tls": forms.BooleanField(label="TLS", required=False),
        "dialogue": _json(
            "Dialogue (JSON)", 'For example [{"expect": "^220 "}, {"send": "QUIT\\r\\n", "expect": "^221"}].'
        ),
        "dns_record_type": _choice("dns_record_type", "Record type"),
        "expected_ip": forms.CharField(label="Expected address", required=False),
        "expected_answers": TextsField(label="Expected answers", required=False, help_text="With commas between them."),
        "expected_rcode": _choice("expected_rcode", "Expected response code"),
        "resolvers": TextsField(required=False, help_text="Addresses with commas between them. None: the system's."),
        "require_dnssec": forms.BooleanField(label="Require DNSSEC", required=False),
        "ping_count": _number("Packets", 1, 20),
        "ping_interval_ms": _number("Between packets", 10, 10000, help_text="ms."),
        "max_loss_percent": forms.FloatField(
            label="Loss allowed", min_value=0, max_value=99.9, required=False, help_text="Percent."
        ),
        "ip_version": _choice("ip_version", "IP version"),
    }


_WEB = ("verify_tls", "certificate_days_warning")
# What each type asks of its target, and the settings that have fields.
TARGETS: Mapping[str, tuple[str, ...]] = {
    "http": ("target_url",),
    "api": ("target_url",),
    "dns": ("target_host",),
    "tcp": ("target_host", "target_port"),
    "ping": ("target_host",),
    "ssl": ("target_host", "target_port"),
}
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "http": (
        "method", "follow_redirects", "headers", "body", "expected_status_codes", "expected_content",
        "expected_response_time_ms", "assertions", *_WEB,
    ),
    "api": ("steps", "headers", "expected_response_time_ms", *_WEB),
    "dns": ("dns_record_type", "expected_ip", "expected_answers", "expected_rcode", "resolvers", "require_dnssec"),
    "tcp": ("tls", "starttls", "dialogue", "expected_response_time_ms"),
    "ping": ("ping_count", "ping_interval_ms", "max_loss_percent", "ip_version"),
    "ssl": ("certificate_days_warning", "starttls", "server_name", "min_tls_version", "verify_tls"),
}  # fmt: skip
_HOW_OFTEN = ("check_frequency", "timeout_seconds", "retry_attempts", "locations")
_WHEN_IT_FAILS = (
    "alert_on_failure", "failure_threshold", "success_threshold", "business_impact_score", "slo_target_percent"
)  # fmt: skip


class CheckForm(Sections, forms.ModelForm):  # type: ignore[type-arg]
    """A check of one type. Settings without a field of their own are kept, and edited as JSON."""

    locations = TextsField(required=False, help_text="Names with commas between them. None: this server.")
    other_settings = _json("Other settings (JSON)", "What the fields above do not have; see the API's schema.", dict)

    class Meta:
        model = SyntheticCheck
        formfield_callback = schema.formfield
        fields = [
            "check_name", "is_enabled", "target_url", "target_host", "target_port", *_HOW_OFTEN, *_WHEN_IT_FAILS,
            "expected_response",
        ]  # fmt: skip
        labels = {
            "check_name": "Name", "is_enabled": "Enabled", "target_url": "URL", "target_host": "Host",
            "target_port": "Port", "check_frequency": "Every", "timeout_seconds": "Timeout",
            "retry_attempts": "Attempts more", "slo_target_percent": "Objective",
            "expected_response": "Further expectations (JSON)",
        }  # fmt: skip
        help_texts = {
            "timeout_seconds": "Seconds.",
            "retry_attempts": "Before a failure counts.",
            "failure_threshold": "Failures in a row until it is down.",
            "success_threshold": "Successes in a row until it is up again.",
        }
        widgets = {name: forms.TextInput() for name in ("check_name", "target_url", "target_host")}

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        kind = self.instance.check_type
        self.settings, self.stored = SETTINGS[kind], secrets.mask(self.instance.check_config or {})
        for name in {"target_url", "target_host", "target_port"} - set(TARGETS[kind]):
            del self.fields[name]
        known = _fields()
        for name in self.settings:
            self.fields[name] = known[name]
            self.fields[name].initial = self.stored.get(name, _DEFAULTS[name])
        rest = {name: value for name, value in self.stored.items() if name not in self.settings}
        self.fields["other_settings"].initial = rest
        self.sections = (
            ("Check", ("check_name", *TARGETS[kind], "is_enabled")),
            (f"What a {CheckType(kind).label} check sends and expects", self.settings),
            ("When and where", _HOW_OFTEN),
            ("When it fails", _WHEN_IT_FAILS),
            ("Advanced", ("other_settings", "expected_response")),
        )
        style(self)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            self.instance.check_config = self._config(cleaned)
        return cleaned

    def _config(self, cleaned: Mapping[str, Any]) -> Any:
        rest = cleaned["other_settings"]
        if not isinstance(rest, dict):
            return rest
        asked = {name: cleaned[name] for name in self.settings if cleaned[name] not in (None, "")}
        return rest | {name: value for name, value in asked.items() if value != _DEFAULTS[name]}

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        try:
            column = self.instance._meta.get_field("check_config")
            self.instance.check_config = column.clean(self.instance.check_config, self.instance)
        except forms.ValidationError as error:
            self.add_error(self._beside(error), error)

    def _beside(self, error: forms.ValidationError) -> str:
        """The field that a complaint of the settings is about."""
        named = _PATH.search(" ".join(error.messages))
        if named and named[1] in self.settings:
            return named[1]
        secret = next((name for name in ("headers", "steps") if secrets.holds_mask(self.cleaned_data.get(name))), None)
        return "other_settings" if named or secret is None else secret
