"""Django's entry into the synthetic app."""

from django.apps import AppConfig


class SyntheticConfig(AppConfig):
    name = "synthetic"
    verbose_name = "Synthetic checks"

    def ready(self) -> None:
        from synthetic.policy import POLICIES
        from wedsync_monitor import audit, policy
        from wedsync_monitor.configuration import registry

        policy.register(*POLICIES)
        registry.register("synthetic.configuration")
        audit.track(*(self.get_model(name) for name in ("SyntheticCheck",)))
