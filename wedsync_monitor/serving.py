"""What the web server's processes run: the application, in a process that reports its counts."""

import os
import socket

from wedsync_monitor import counters
from wedsync_monitor.wsgi import application

__all__ = ["application"]

counters.report_as("web", f"web@{socket.gethostname()}/{os.getpid()}")
