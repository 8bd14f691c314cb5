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
        from alerts.suppression.planned import in_maintenance
        from assets import planned
        from wedsync_monitor import audit, policy
        from wedsync_monitor.configuration import registry

        policy.register(*POLICIES)
        planned.register(in_maintenance)
        registry.register("alerts.configuration")
        audit.track(*(self.get_model(name) for name in _CONFIGURATION))
