"""Django's entry into the synthetic app."""

from django.apps import AppConfig


class SyntheticConfig(AppConfig):
    name = "synthetic"
    verbose_name = "Synthetic checks"

    def ready(self) -> None:
        from synthetic.policy import POLICIES
        from wedsync_monitor import audit, policy

        policy.register(*POLICIES)
        audit.track(*(self.get_model(name) for name in ("SyntheticCheck",)))
