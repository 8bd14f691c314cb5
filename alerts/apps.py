"""Django's entry into the alerts app."""

from django.apps import AppConfig

_CONFIGURATION = (
    "AlertRule", "ContactPreference", "EscalationPolicy", "MaintenanceWindow", "OnCallOverride", "OnCallSchedule",
    "PerformanceBaseline", "Silence",
)  # fmt: skip


class AlertsConfig(AppConfig):
    name = "alerts"
    verbose_name = "Alerts"

    def ready(self) -> None:
        from alerts.policy import POLICIES
        from wedsync_monitor import audit, policy

        policy.register(*POLICIES)
        audit.track(*(self.get_model(name) for name in _CONFIGURATION))
