"""The console's forms for overrides of on-call schedules, and for how a person is reached."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError

from alerts.models import ContactPreference, OnCallOverride, OnCallSchedule
from assets.forms import Sections, style
from wedsync_monitor import schema
from wedsync_monitor.models import User

_HOURS = "%Y-%m-%dT%H:%M"


def _clock_field(label: str) -> forms.DateTimeField:
    widget = forms.DateTimeInput({"type": "datetime-local"}, format=_HOURS)
    return forms.DateTimeField(label=label, input_formats=[_HOURS], widget=widget)


class OverrideForm(Sections, forms.ModelForm):  # type: ignore[type-arg]
    """Somebody else is on call for a while; times are on the wall clock of the schedule."""

    sections = (("Override", ("schedule", "username", "begins", "ends", "comment")),)
    username = forms.CharField(label="Who", max_length=150, help_text="A user name.")
    begins = _clock_field("From")
    ends = _clock_field("Until")

    class Meta:
        model = OnCallOverride
        fields = ["schedule", "comment"]
        formfield_callback = schema.formfield
        labels = {"comment": "Why"}
        widgets = {"comment": forms.TextInput()}

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        style(self)

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        person = User.objects.filter(username=name, is_active=True).first()
        if person is None:
            raise ValidationError("Nobody has this user name.")
        self.instance.person = person
        return name

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        schedule: OnCallSchedule | None = cleaned.get("schedule")
        if schedule is None or not {"begins", "ends"} <= cleaned.keys():
            return cleaned
        zone = ZoneInfo(schedule.timezone)
        begins: datetime = cleaned["begins"].replace(tzinfo=zone)
        ends: datetime = cleaned["ends"].replace(tzinfo=zone)
        if ends <= begins:
            self.add_error("ends", "The end must be after the start.")
        self.instance.starts_at, self.instance.ends_at = begins, ends
        return cleaned


_SHOWN_BESIDE = {"quiet_hours": "zone", "channels": "recipients"}


class ContactForm(Sections, forms.ModelForm):  # type: ignore[type-arg]
    """How a person is reached. It edits the email addresses; other channels, which the API and the admin can set, stay
    as they are."""

    sections = (
        ("Whom and how", ("recipients", "minimum_severity")),
        ("Quiet hours", ("zone", "quiet_from", "quiet_until")),
    )
    recipients = forms.CharField(
        label="Email", required=False, max_length=1000, help_text="Addresses with commas between them. Empty: yours."
    )
    zone = forms.CharField(label="Time zone", initial="UTC", max_length=80, help_text="For example Europe/London.")
    quiet_from = forms.TimeField(
        label="From", required=False, widget=forms.TimeInput({"type": "time"}, format="%H:%M"),
        help_text="Messages wait until these hours are over; those of critical alerts do not.",
    )  # fmt: skip
    quiet_until = forms.TimeField(
        label="Until", required=False, widget=forms.TimeInput({"type": "time"}, format="%H:%M")
    )

    class Meta:
        model = ContactPreference
        fields = ["minimum_severity"]
        formfield_callback = schema.formfield
        labels = {"minimum_severity": "From severity"}

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        quiet = self.instance.quiet_hours
        email = next((one for one in self.instance.channels if one["type"] == "email"), None)
        self.initial.update(
            {
                "recipients": ", ".join(email["config"]["recipients"]) if email else "",
                "zone": quiet.get("timezone", "UTC"),
                "quiet_from": quiet.get("start", ""),
                "quiet_until": quiet.get("end", ""),
            }
        )
        style(self)

    def clean_recipients(self) -> list[str]:
        found = [one.strip() for one in self.cleaned_data["recipients"].split(",") if one.strip()]
        for one in found:
            forms.EmailField().clean(one)
        return found

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        kept = [one for one in self.instance.channels if one["type"] != "email"]
        if recipients := cleaned.get("recipients"):
            kept = [{"type": "email", "config": {"recipients": recipients}}, *kept]
        self.instance.channels = kept
        begins, ends = cleaned.get("quiet_from"), cleaned.get("quiet_until")
        quiet = {"timezone": cleaned.get("zone", "UTC")}
        if begins is not None or ends is not None:
            quiet |= {name: f"{at or time():%H:%M}" for name, at in (("start", begins), ("end", ends))}
        self.instance.quiet_hours = quiet
        return cleaned

    def add_error(self, field: Any, error: Any) -> None:
        """What the row says about a column that the form makes from several fields stands beside the first of them."""
        if field is None and hasattr(error, "error_dict"):
            for column, problems in error.error_dict.items():
                super().add_error(_SHOWN_BESIDE.get(column, column), problems)
            return
        super().add_error(field, error)
