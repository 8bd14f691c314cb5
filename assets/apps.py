"""Django's entry into the assets app."""

from datetime import UTC, date, datetime

from django.apps import AppConfig


def _may_drop(day: date) -> bool:
    from assets.metrics import archive

    return archive.may_drop(day, datetime.now(UTC))


class AssetsConfig(AppConfig):
    name = "assets"
    verbose_name = "Assets and metrics"

    def ready(self) -> None:
        from assets.policy import POLICIES
        from wedsync_monitor import audit, partitions, policy

        partitions.before_drop("metric_block", _may_drop)
        policy.register(*POLICIES)
        tracked = ("InfrastructureAsset", "MonitoringAgent", "AgentKey", "EnrolmentToken", "Heartbeat", "ScrapeJob")
        audit.track(*(self.get_model(name) for name in (*tracked, "CatalogueEntry")))
