"""The console's forms for maintenance windows and silences."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError

from alerts import conditions
from alerts.models import MaintenanceWindow, Silence
from alerts.suppression import matching
from alerts.suppression.recurrence import Schedule, Span, Unusable, zone_of
from assets.forms import Sections, style
from assets.models import InfrastructureAsset
from wedsync_monitor import schema

_MATCHER = re.compile(r'\s*(?P<name>\w[\w.:-]*)\s*(?P<sign>=~|!~|!=|=)\s*"?(?P<value>.*?)"?\s*')
LASTING = ((30, "30 minutes"), (60, "1 hour"), (120, "2 hours"), (480, "8 hours"), (1440, "1 day"), (10080, "1 week"))
_HOURS = "%Y-%m-%dT%H:%M"


def matchers_in(text: str) -> list[dict[str, Any]]:
    """The matchers of a text with one on each line. Raises ValidationError."""
    found = []
    for line in filter(str.strip, text.splitlines()):
        parts = _MATCHER.fullmatch(line)
        if parts is None:
            raise ValidationError(f'Write {line.strip()[:80]!r} as label="value", with =, !=, =~ or !~ between them.')
        matcher: dict[str, Any] = {"name": parts["name"], "value": parts["value"]}
        if "~" in parts["sign"]:
            matcher["is_regex"] = True
        if parts["sign"].startswith("!"):
            matcher["is_equal"] = False
        found.append(matcher)
    return found


class SilenceForm(Sections, forms.ModelForm):  # type: ignore[type-arg]
    """Nobody is told of what matches, from now on for a while."""

    sections = (("Silence", ("matcher_lines", "minutes", "comment")),)
    matcher_lines = forms.CharField(
        label="What is silenced",
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text="One label a line, all of which must match: asset, rule, severity, environment, asset_type, "
        'metric_name, or a label of the series; for example severity=~"low|medium".',
    )
    minutes = forms.TypedChoiceField(label="For", coerce=int, choices=LASTING, initial=120)

    class Meta:
        model = Silence
        fields = ["comment"]
        formfield_callback = schema.formfield
        labels = {"comment": "Why"}
        widgets = {"comment": forms.TextInput()}

    def __init__(self, *args: Any, now: datetime, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.now = now
        style(self)

    def clean_matcher_lines(self) -> str:
        text: str = self.cleaned_data["matcher_lines"]
        found = matchers_in(text)
        if problem := matching.problem_with(matching.matchers_of(found)):
            raise ValidationError(f"{problem}.")
        self.instance.matchers = found
        return text

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        minutes = cleaned.get("minutes") or 120
        self.instance.starts_at, self.instance.ends_at = self.now, self.now + timedelta(minutes=minutes)
        return cleaned


class WindowForm(Sections, forms.ModelForm):  # type: ignore[type-arg]
    """Planned work, with its times on the wall clock of a zone."""

    sections = (
        ("Work", ("window_name", "description", "maintenance_type", "impact_level", "alert_suppression")),
        ("When", ("zone", "begins", "ends", "rrule")),
        ("Assets", ("assets", "environments")),
    )
    zone = forms.CharField(label="Time zone", initial="UTC", max_length=80, help_text="For example Europe/Berlin.")
    begins = forms.DateTimeField(
        input_formats=[_HOURS], widget=forms.DateTimeInput({"type": "datetime-local"}, format=_HOURS)
    )
    ends = forms.DateTimeField(
        input_formats=[_HOURS], widget=forms.DateTimeInput({"type": "datetime-local"}, format=_HOURS)
    )
    rrule = forms.CharField(
        label="Comes again",
        required=False,
        max_length=500,
        help_text="A rule of RFC 5545, for example FREQ=WEEKLY;BYDAY=SU. Empty: once.",
    )
    assets = forms.CharField(required=False, help_text="Names with commas between them.")
    environments = forms.MultipleChoiceField(
        required=False,
        choices=[(one, one) for one in get_args(conditions.EnvironmentName)],
        help_text="All assets of these. Neither names nor environments: every asset.",
    )

    class Meta:
        model = MaintenanceWindow
        fields = ["window_name", "description", "maintenance_type", "impact_level", "alert_suppression"]
        formfield_callback = schema.formfield
        labels = {"alert_suppression": "Tell nobody of alerts meanwhile"}
        widgets = {"window_name": forms.TextInput(), "description": forms.TextInput()}

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.initial.update(self._stored())
        style(self)

    def _stored(self) -> dict[str, Any]:
        window = self.instance
        recurrence = window.recurrence_config or {}
        zone = ZoneInfo(recurrence.get("timezone", "UTC"))
        names = InfrastructureAsset.objects.filter(pk__in=window.affected_assets).values_list("asset_name", flat=True)
        return {
            "zone": zone.key,
            "begins": window.start_time.astimezone(zone).strftime(_HOURS),
            "ends": window.end_time.astimezone(zone).strftime(_HOURS),
            "rrule": recurrence.get("rrule", ""),
            "assets": ", ".join(names),
            "environments": window.asset_filter.get("environments", []),
        }

    def clean_zone(self) -> str:
        name: str = self.cleaned_data["zone"]
        try:
            zone_of(name)
        except Unusable as error:
            raise ValidationError(f"{error}.") from error
        return name

    def clean_assets(self) -> str:
        text: str = self.cleaned_data["assets"]
        names = {name.strip() for name in text.split(",") if name.strip()}
        known = dict(InfrastructureAsset.objects.filter(asset_name__in=names).values_list("asset_name", "pk"))
        if strangers := sorted(names - known.keys()):
            raise ValidationError(f"No asset has the name {strangers[0]}.")
        self.instance.affected_assets = [str(known[name]) for name in sorted(names)]
        return text

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        window = self.instance
        if not {"zone", "begins", "ends"} <= cleaned.keys():
            return cleaned
        zone, rule = ZoneInfo(cleaned["zone"]), cleaned.get("rrule", "").strip()
        # The field reads in the console's own zone, which is UTC: what was meant is the wall clock of the chosen one.
        window.start_time, window.end_time = (cleaned[name].replace(tzinfo=zone) for name in ("begins", "ends"))
        if window.end_time <= window.start_time:
            self.add_error("ends", "The end must be after the start.")
        try:
            Schedule(Span(window.start_time, window.end_time), rule, zone.key).check()
        except Unusable as error:
            self.add_error("rrule", f"{error}.")
            rule = ""
        window.recurrence_config = {"rrule": rule, "timezone": zone.key} if rule else None
        kept = {name: value for name, value in window.asset_filter.items() if name != "environments"}
        chosen = cleaned.get("environments")
        window.asset_filter = kept | ({"environments": chosen} if chosen else {})
        return cleaned
