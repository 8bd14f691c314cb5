"""Django's entry into the capacity app."""

from django.apps import AppConfig


class CapacityConfig(AppConfig):
    name = "capacity"
    verbose_name = "Capacity"

    def ready(self) -> None:
        from capacity.policy import POLICIES
        from wedsync_monitor import policy

        policy.register(*POLICIES)
