"""The project: settings, URLs, and what every app shares."""

from wedsync_monitor.celery import app as celery_app

__all__ = ["celery_app"]
