"""Django's entry into the project's own app and its admin site."""

from django.apps import AppConfig, apps
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig

SCHEDULE = ("PeriodicTask", "IntervalSchedule", "CrontabSchedule", "SolarSchedule", "ClockedSchedule")


class WedsyncMonitorConfig(AppConfig):
    name = "wedsync_monitor"
    verbose_name = "WedSync Monitor"

    def ready(self) -> None:
        from wedsync_monitor import audit, policy
        from wedsync_monitor.policies import POLICIES

        policy.register(*POLICIES)
        audit.track(*(self.get_model(name) for name in ("User", "ApiToken", "MonitoringDashboard", "DeadMansSwitch")))
        audit.track(apps.get_model("auth.Group"), *(apps.get_model("django_celery_beat", name) for name in SCHEDULE))
        audit.track_roles()


class AdminConfig(DjangoAdminConfig):
    default_site = "wedsync_monitor.web.admin_site.PolicyAdminSite"
