"""The Celery application: queues, and what beat ticks. Each task's rules live in its app."""

import os

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wedsync_monitor.settings")

app = Celery("wedsync_monitor")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.task_routes = {
    "alerts.tasks.evaluate_due_rules": {"queue": "evaluation"},
    "alerts.tasks.escalate_due_alerts": {"queue": "evaluation"},
    "alerts.tasks.deliver_due_notifications": {"queue": "delivery"},
    "synthetic.tasks.*": {"queue": "probes"},
    "remediation.tasks.*": {"queue": "remediation"},
}


@setup_logging.connect
def keep_django_logging(**_: object) -> None:
    """Log as Django is configured to: one format for every process."""
    import logging.config

    logging.config.dictConfig(settings.LOGGING)
