"""Tables that every app shares: people, their tokens, the audit trail and the dashboards."""

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import models
from django.utils import timezone

from wedsync_monitor import outgoing, schema, secrets
from wedsync_monitor.structured import StructuredField
from wedsync_monitor.structures import AccessControl, AnyObject, SignalTarget, Widget


class User(AbstractUser):
    """A person; roles are groups (wedsync_monitor.policy.Role)."""

    id = schema.uuid_key()

    class Meta(AbstractUser.Meta):
        db_table = "users"


class TokenScope(models.TextChoices):
    FULL = "full", "Everything the person may do"
    READ = "read", "Read only"
    METRICS = "metrics", "Send metrics only"


class ApiToken(models.Model):
    """A person's bearer token for programs: stored as a SHA-256 digest, shown once."""

    id = schema.uuid_key()
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    label = models.TextField(help_text="What uses this token.")
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    scope = schema.choice(TokenScope, TokenScope.FULL)
    may_discover = models.BooleanField(
        **schema.fixed(False), help_text="Hosts that are unknown become assets when it sends their metrics."
    )
    created_at = schema.created_at()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "api_tokens"
        ordering = ["-created_at"]
        constraints = [schema.one_of("api_tokens", "scope", TokenScope)]

    def __str__(self) -> str:
        return f"{self.label} ({self.user})"


class AuditAction(models.TextChoices):
    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    SIGN_IN = "sign_in"
    SIGN_OUT = "sign_out"
    SIGN_IN_REFUSED = "sign_in_refused"


class AuditEntry(models.Model):
    """A change of configuration, from what to what, or a sign-in. Written once, never changed; secrets are masked."""

    id = models.BigAutoField(primary_key=True)
    at = schema.created_at()
    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.TextField(help_text="The actor as named then, also where it was a program.")
    action = schema.choice(AuditAction)
    table_name = models.TextField()
    object_id = models.TextField()
    object_name = models.TextField()
    changes = models.JSONField(help_text='{"column": [before, after]}')

    class Meta:
        db_table = "audit_entries"
        ordering = ["-at", "-id"]
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["-at"], name="idx_audit_at"),
            models.Index(fields=["table_name", "object_id", "-at"], name="idx_audit_object"),
        ]
        constraints = [schema.one_of("audit_entries", "action", AuditAction)]

    def __str__(self) -> str:
        return f"{self.actor_name} {self.action} {self.object_name}"


class DashboardType(models.TextChoices):
    OPERATIONAL = "operational"
    EXECUTIVE = "executive"
    CUSTOM = "custom"


class MonitoringDashboard(models.Model):
    """A page of widgets that a person keeps, shares or makes public."""

    id = schema.uuid_key()
    dashboard_name = models.TextField(unique=True)
    dashboard_type = schema.choice(DashboardType, DashboardType.OPERATIONAL)
    dashboard_config = StructuredField(structure=AnyObject, default=dict, blank=True)
    widget_configs = StructuredField(structure=list[Widget], default=list, blank=True)
    refresh_interval = models.IntegerField(**schema.fixed(30), help_text="Seconds.")
    access_control = StructuredField(structure=AccessControl, default=dict, blank=True)
    tags = StructuredField(structure=list[str], default=list, blank=True)
    is_public = models.BooleanField(**schema.fixed(False))
    is_default = models.BooleanField(**schema.fixed(False))
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="dashboards")
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    class Meta:
        db_table = "monitoring_dashboards"
        ordering = ["dashboard_name"]
        constraints = [
            schema.one_of("monitoring_dashboards", "dashboard_type", DashboardType),
            schema.in_range("monitoring_dashboards", "refresh_interval", 5, 86400),
        ]

    def __str__(self) -> str:
        return self.dashboard_name


class SystemCounter(models.Model):
    """A total of what the processes of the system have counted (wedsync_monitor.counters)."""

    name = models.TextField()
    labels = models.JSONField()
    value = models.FloatField()

    class Meta:
        db_table = "system_counters"
        constraints = [models.UniqueConstraint(fields=["name", "labels"], name="system_counters_once")]

    def __str__(self) -> str:
        return self.name


class SystemProcess(models.Model):
    """A process of the system, by its own word."""

    name = models.TextField(primary_key=True)
    kind = models.TextField()
    pid = models.IntegerField()
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        db_table = "system_processes"

    def __str__(self) -> str:
        return self.name


class SystemState(models.Model):
    """The last word of a part of the system on itself: what was measured, who leads, beat's last gap."""

    name = models.TextField(primary_key=True)
    said = models.JSONField()
    said_at = models.DateTimeField()

    class Meta:
        db_table = "system_states"

    def __str__(self) -> str:
        return self.name


def check_signal_target(target: dict[str, Any]) -> None:
    """Raises ValidationError for an address that would never be reached. One that is sealed was checked before."""
    url = target["url"]
    if secrets.holds_sealed(url):
        return
    URLValidator(["http", "https"])(url)
    if problem := outgoing.refusal_of_url(url):
        raise ValidationError(problem)


class DeadMansSwitch(models.Model):
    """An outside address that hears from the system as long as it works; silence is the alarm, and outside."""

    id = schema.uuid_key()
    switch_name = models.TextField(unique=True)
    target = StructuredField(
        structure=SignalTarget,
        check=check_signal_target,
        help_text='{"url": "https://…"}: requested by GET, or by {"method": "POST"}. The address is kept secret.',
    )
    interval_seconds = models.IntegerField(**schema.fixed(60), help_text="Seconds between two signals.")
    is_enabled = models.BooleanField(**schema.fixed(True))
    next_signal_at = models.DateTimeField(default=timezone.now, editable=False)
    last_sent_at = models.DateTimeField(null=True, editable=False, help_text="When a signal last arrived.")
    last_answer = models.TextField(**schema.fixed(""), editable=False)
    held_back_since = models.DateTimeField(null=True, editable=False)
    held_back_because = models.TextField(**schema.fixed(""), editable=False)
    created_at = schema.created_at()
    updated_at = schema.updated_at()

    class Meta:
        db_table = "dead_mans_switches"
        ordering = ["switch_name"]
        verbose_name = "dead man's switch"
        verbose_name_plural = "dead man's switches"
        indexes = [models.Index(fields=["next_signal_at"], name="idx_dead_mans_switches_due")]
        constraints = [schema.in_range("dead_mans_switches", "interval_seconds", 10, 86400)]

    def __str__(self) -> str:
        return self.switch_name

    @property
    def last_arrived(self) -> bool:
        """Whether the last signal was answered with a success."""
        return self.last_answer.startswith("answered 2")
