"""The tables of alerting: rules, what they opened, what followed."""

from alerts.models.baselines import PerformanceBaseline
from alerts.models.choices import (
    AlertStatus,
    AlertType,
    BaselineType,
    DecisionKind,
    DeliveryStatus,
    EventKind,
    ImpactLevel,
    MaintenanceType,
    ResolutionType,
    Severity,
    TimePeriod,
    WindowStatus,
)
from alerts.models.deliveries import NotificationDecision, NotificationDelivery
from alerts.models.escalation import EscalationPolicy
from alerts.models.external import ExternalAlert
from alerts.models.instances import AlertEvent, AlertInstance
from alerts.models.maintenance import MaintenanceWindow, Silence
from alerts.models.oncall import ContactPreference, OnCallOverride, OnCallSchedule
from alerts.models.rules import AlertRule, InUse, RuleEvaluation

__all__ = [
    "AlertEvent",
    "AlertInstance",
    "AlertRule",
    "AlertStatus",
    "AlertType",
    "BaselineType",
    "ContactPreference",
    "DecisionKind",
    "DeliveryStatus",
    "EscalationPolicy",
    "EventKind",
    "ExternalAlert",
    "ImpactLevel",
    "InUse",
    "MaintenanceType",
    "MaintenanceWindow",
    "NotificationDecision",
    "NotificationDelivery",
    "OnCallOverride",
    "OnCallSchedule",
    "PerformanceBaseline",
    "ResolutionType",
    "RuleEvaluation",
    "Severity",
    "Silence",
    "TimePeriod",
    "WindowStatus",
]
