"""The WSGI application that the web server runs."""

import os
import socket

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wedsync_monitor.settings")
application = get_wsgi_application()

from wedsync_monitor import counters  # noqa: E402  (models are known from here on)

counters.report_as("web", f"web@{socket.gethostname()}/{os.getpid()}")
