"""What the web server's processes run: the application, in a process that reports its counts and keeps its memory."""

import ctypes
import os
import socket
from contextlib import suppress

from wedsync_monitor import counters
from wedsync_monitor.wsgi import application

__all__ = ["application"]

# glibc's malloc.h. Arrays of a megabyte come and go with every query. What is given back to the system in between
# is cleared by it again, which is a quarter of the processor's time of a query of 100 series.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 16 * 1024 * 1024


def _keep_memory() -> None:
    """Up to _KEPT_BYTES of free memory stay with each arena of the process. Without glibc nothing changes."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)


_keep_memory()
counters.report_as("web", f"web@{socket.gethostname()}/{os.getpid()}")
