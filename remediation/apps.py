"""Django's entry into the remediation app."""

from django.apps import AppConfig


class RemediationConfig(AppConfig):
    name = "remediation"
    verbose_name = "Remediation"

    def ready(self) -> None:
        from remediation.policy import POLICIES
        from wedsync_monitor import audit, policy
        from wedsync_monitor.configuration import registry

        policy.register(*POLICIES)
        registry.register("remediation.configuration")
        audit.track(*(self.get_model(name) for name in ("RemediationAction",)))
