"""The outbox of messages, and what was decided of them."""

from django.db import models
from django.db.models import Q

from alerts import conditions
from alerts.models.choices import DecisionKind, DeliveryStatus
from alerts.models.instances import AlertEvent, AlertInstance
from wedsync_monitor import schema
from wedsync_monitor.structured import StructuredField


class NotificationDelivery(models.Model):
    """The outbox: one message of one event to one channel, from the transaction that made it due to its arrival."""

    id = schema.uuid_key()
    event = models.ForeignKey(AlertEvent, on_delete=models.CASCADE, related_name="deliveries")
    channel_key = models.TextField(help_text="Type of the channel and a digest of its address.")
    channel = StructuredField(structure=conditions.Channel)
    status = schema.choice(DeliveryStatus, DeliveryStatus.QUEUED)
    attempts = models.IntegerField(**schema.fixed(0))
    next_attempt_at = models.DateTimeField(help_text="Due from then on; a claim moves it ahead.")
    receipt = models.TextField(**schema.fixed(""), help_text="What the receiver knows the message by.")
    link_used_at = models.DateTimeField(null=True, blank=True, help_text="Acknowledged by its link at that time.")
    last_error = models.TextField(**schema.fixed(""))
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    told_by = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The summary it is part of.",
    )
    created_at = schema.created_at()
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "notification_deliveries"
        ordering = ["-created_at"]
        verbose_name_plural = "notification deliveries"
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(status="queued"), name="idx_deliveries_due"),
            models.Index(
                fields=["channel_key", "last_attempt_at"],
                condition=Q(last_attempt_at__isnull=False),
                name="idx_deliveries_channel",
            ),
            models.Index(fields=["-created_at"], name="idx_deliveries_created"),
        ]
        constraints = [
            schema.one_of("notification_deliveries", "status", DeliveryStatus),
            models.UniqueConstraint(fields=["event", "channel_key"], name="notification_deliveries_once"),
        ]

    def __str__(self) -> str:
        return f"{self.channel_key}: {self.status}"


class NotificationDecision(models.Model):
    """Why a message or an escalation came later or not at all, where no event and no delivery keeps it.

    Written with what was decided and never changed after. One that is taken again at every tick leaves one row.
    """

    id = models.BigAutoField(primary_key=True)
    alert = models.ForeignKey(AlertInstance, on_delete=models.CASCADE, related_name="decisions")
    delivery = models.ForeignKey(
        NotificationDelivery,
        null=True,
        on_delete=models.CASCADE,
        related_name="decisions",
        help_text="Of what a summary carries, the one that carries it.",
    )
    kind = schema.choice(DecisionKind)
    at = models.DateTimeField()
    reason = models.TextField()
    until = models.DateTimeField(null=True, help_text="When it is decided again.")

    class Meta:
        db_table = "notification_decisions"
        ordering = ["at", "id"]
        indexes = [models.Index(fields=["alert", "at"], name="idx_decisions_alert")]
        constraints = [
            schema.one_of("notification_decisions", "kind", DecisionKind),
            models.UniqueConstraint(
                fields=["delivery", "kind"], condition=Q(kind="rate_limited"), name="notification_decisions_held_once"
            ),
            models.UniqueConstraint(
                fields=["alert", "until"], condition=Q(kind="outside_hours"), name="notification_decisions_waits_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%Y-%m-%d %H:%M:%S}"
