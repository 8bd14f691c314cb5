"""Django's entry into the assets app."""

from django.apps import AppConfig


class AssetsConfig(AppConfig):
    name = "assets"
    verbose_name = "Assets and metrics"

    def ready(self) -> None:
        from assets.policy import POLICIES
        from wedsync_monitor import audit, policy

        policy.register(*POLICIES)
        tracked = ("InfrastructureAsset", "MonitoringAgent", "AgentKey", "EnrolmentToken", "Heartbeat", "ScrapeJob")
        audit.track(*(self.get_model(name) for name in tracked))
