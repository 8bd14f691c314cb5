"""Django's entry into the alerts app."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "alerts"
    verbose_name = "Alerts"

    def ready(self) -> None:
        from alerts.policy import POLICIES
        from wedsync_monitor import policy

        policy.register(*POLICIES)
