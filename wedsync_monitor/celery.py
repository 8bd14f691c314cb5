"""The Celery application: queues, and what beat ticks. Each task's rules live in its app."""

import os
import time
from typing import Any

from celery import Celery
from celery.signals import setup_logging, task_postrun, task_prerun, worker_ready, worker_shutdown
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wedsync_monitor.settings")

app = Celery("wedsync_monitor")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.task_routes = {
    "alerts.tasks.evaluate_due_rules": {"queue": "evaluation"},
    "alerts.tasks.escalate_due_alerts": {"queue": "evaluation"},
    "alerts.tasks.deliver_due_notifications": {"queue": "delivery"},
    "assets.tasks.scrape_due_targets": {"queue": "probes"},
    "assets.tasks.refresh_scrape_targets": {"queue": "probes"},
    "synthetic.tasks.*": {"queue": "probes"},
    "remediation.tasks.*": {"queue": "remediation"},
}


@setup_logging.connect
def keep_django_logging(**_: object) -> None:
    """Log as Django is configured to: one format for every process."""
    import logging.config

    logging.config.dictConfig(settings.LOGGING)


@worker_ready.connect
def report(sender: Any, **_: object) -> None:
    """A worker is known by the first part of its name, and what it counts reaches the totals."""
    from wedsync_monitor import counters

    counters.report_as(sender.hostname.partition("@")[0], sender.hostname)


@worker_shutdown.connect
def stop_reporting(**_: object) -> None:
    from wedsync_monitor import counters

    counters.stop_reporting()


@task_prerun.connect
def begin(task: Any, **_: object) -> None:
    task.request.began = time.perf_counter()


@task_postrun.connect
def count_task(task: Any, state: str | None = None, **_: object) -> None:
    from wedsync_monitor import counters

    counters.add(counters.key("wedsync_tasks_total", task=task.name, outcome=(state or "unknown").lower()))
    took = time.perf_counter() - getattr(task.request, "began", time.perf_counter())
    counters.add(counters.key("wedsync_task_seconds_total", task=task.name), took)
