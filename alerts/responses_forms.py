"""The console's forms for what people do with alerts: snooze, assign, comment, and many at once."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from assets.forms import style
from wedsync_monitor.models import User

SNOOZES = ((15, "15 minutes"), (60, "1 hour"), (240, "4 hours"), (1440, "1 day"), (10080, "1 week"))


class _Styled(forms.Form):
    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        style(self)


class SnoozeForm(_Styled):
    minutes = forms.TypedChoiceField(label="For", coerce=int, choices=SNOOZES, initial=60)
    note = forms.CharField(label="Why", required=False, max_length=5000)


class AssignForm(_Styled):
    assignee = forms.CharField(label="To", required=False, max_length=150, help_text="A user name. Empty: to nobody.")

    def clean_assignee(self) -> User | None:
        name = self.cleaned_data["assignee"]
        if not name:
            return None
        person = User.objects.filter(username=name, is_active=True).first()
        if person is None:
            raise ValidationError("Nobody has this user name.")
        return person


class CommentForm(_Styled):
    comment = forms.CharField(max_length=5000, widget=forms.Textarea(attrs={"rows": 3}))


class BulkForm(forms.Form):
    """What is done with the alerts that are ticked, or with all that the page's filter finds."""

    ACTIONS = (
        ("acknowledge", "Acknowledge"),
        ("resolve", "Resolve"),
        *((f"snooze-{minutes}", f"Snooze for {text}") for minutes, text in SNOOZES),
        ("assign", "Assign to me"),
    )
    action = forms.ChoiceField(choices=ACTIONS)
    note = forms.CharField(required=False, max_length=5000)
    everything = forms.BooleanField(required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("action") == "resolve" and not cleaned.get("note"):
            self.add_error("note", "Say what was done: a resolution needs a note.")
        return cleaned
