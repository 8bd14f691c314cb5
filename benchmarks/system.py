"""The system that is measured, as `make run` starts it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.journeys.system import System


@contextmanager
def running() -> Iterator[System]:
    """A whole system, as `make run` starts it."""
    folder = Path(tempfile.mkdtemp(prefix="wedsync-bench-"))
    folder.chmod(0o755)
    system = System(folder)
    try:
        system.start()
        system.sign_in()
        yield system
    finally:
        system.destroy()
        shutil.rmtree(folder, ignore_errors=True)
