"""Who is on call, and how people are reached."""

from contextlib import suppress

import msgspec
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q

from alerts import conditions, oncall
from alerts.models.choices import Severity
from alerts.suppression.recurrence import Unusable, zone_of
from wedsync_monitor import schema
from wedsync_monitor.models import User
from wedsync_monitor.structured import StructuredField


def check_zone(name: str) -> None:
    """Raise ValidationError where `name` is no time zone."""
    try:
        zone_of(name)
    except Unusable as error:
        raise ValidationError(str(error)) from error


class OnCallSchedule(models.Model):
    """Who is on call when (alerts.oncall)."""

    id = schema.uuid_key()
    schedule_name = models.TextField(unique=True)
    description = models.TextField(null=True, blank=True)
    timezone = models.TextField(**schema.fixed("UTC"), validators=[check_zone], help_text="For example Europe/London.")
    layers = StructuredField(structure=oncall.Layers, help_text="Rotations; later ones count over earlier ones.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    class Meta:
        db_table = "on_call_schedules"
        ordering = ["schedule_name"]
        verbose_name = "on-call schedule"

    def __str__(self) -> str:
        return self.schedule_name

    def clean(self) -> None:
        """Layers that cannot be followed, and people who are not known, are refused."""
        super().clean()
        try:
            layers = msgspec.convert(self.layers, oncall.Layers)
            oncall.check(layers)
        except msgspec.ValidationError:  # the column says itself what is wrong with its structure
            return
        except oncall.Unusable as error:
            raise ValidationError({"layers": str(error)}) from error
        check_people({"layers": {name for layer in layers for name in layer.users}})


def check_people(named: dict[str, set[str]]) -> None:
    """Raise ValidationError, by column, where nobody has one of the user names."""
    for column, names in named.items():
        known = set(User.objects.filter(username__in=names).values_list("username", flat=True))
        if strangers := sorted(names - known):
            raise ValidationError({column: f"nobody has the user name {strangers[0][:80]!r}; send one that is known"})


class OnCallOverride(models.Model):
    """Somebody else is on call for a while."""

    id = schema.uuid_key()
    schedule = models.ForeignKey(OnCallSchedule, on_delete=models.CASCADE, related_name="overrides")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    comment = models.TextField(blank=True, **schema.fixed(""))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    class Meta:
        db_table = "on_call_overrides"
        ordering = ["starts_at"]
        verbose_name = "on-call override"
        indexes = [models.Index(fields=["schedule", "ends_at"], name="idx_on_call_overrides_span")]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")),
                name="on_call_overrides_span",
                violation_error_message="The end must be after the start.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.person} from {self.starts_at:%Y-%m-%d %H:%M} to {self.ends_at:%Y-%m-%d %H:%M} UTC"


class ContactPreference(models.Model):
    """How one person is reached; without a row, by email to the address of the account."""

    id = schema.uuid_key()
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="contact_preference")
    channels = StructuredField(
        structure=conditions.Channels, default=list, blank=True, help_text="Empty: email to the address of the account."
    )
    minimum_severity = schema.choice(Severity, Severity.LOW)
    quiet_hours = StructuredField(
        structure=conditions.BusinessHours,
        default=dict,
        blank=True,
        help_text="Messages wait until these are over; those of critical alerts do not.",
    )
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    class Meta:
        db_table = "contact_preferences"
        constraints = [schema.one_of("contact_preferences", "minimum_severity", Severity)]

    def __str__(self) -> str:
        return f"How {self.user} is reached"

    def clean(self) -> None:
        super().clean()
        with suppress(msgspec.ValidationError):
            quiet = msgspec.convert(self.quiet_hours, conditions.BusinessHours)
            try:
                zone_of(quiet.timezone)
            except Unusable as error:
                raise ValidationError({"quiet_hours": str(error)}) from error
            if quiet != conditions.BusinessHours(quiet.timezone) and quiet.start == quiet.end:
                raise ValidationError({"quiet_hours": "send a start and another end, or nothing for no quiet hours"})
