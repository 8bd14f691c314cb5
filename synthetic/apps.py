"""Django's entry into the synthetic app."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import pre_delete


class SyntheticConfig(AppConfig):
    name = "synthetic"
    verbose_name = "Synthetic checks"

    def ready(self) -> None:
        from synthetic.policy import POLICIES
        from wedsync_monitor import audit, policy
        from wedsync_monitor.configuration import registry

        policy.register(*POLICIES)
        registry.register("synthetic.configuration")
        audit.track(*(self.get_model(name) for name in ("SyntheticCheck", "ProbeSecret")))
        pre_delete.connect(_forget, sender=self.get_model("SyntheticCheck"))


def _forget(instance: Any, **_: object) -> None:
    from synthetic import places

    places.forget(instance)
