"""Where the embedded servers listen: socket folders derived from the data folder alone.

Socket paths have a length limit (about 100 bytes) that data folders do not have, so the sockets live under /tmp in
a folder named after the data folder. Every command that knows WEDSYNC_DATA finds the running servers by it.
"""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

DATABASE_NAME = DATABASE_USER = "wedsync"


def socket_dir(data_dir: Path, server: str) -> Path:
    """The folder of `server`'s socket ('postgres' or 'redis') for the system whose data are in `data_dir`."""
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]
    return Path("/tmp") / f"wedsync-{digest}-{server}"  # noqa: S108


def redis_socket(data_dir: Path) -> Path:
    return socket_dir(data_dir, "redis") / "redis.sock"


def database(data_dir: Path) -> dict[str, Any]:
    """Django's settings for the embedded PostgreSQL."""
    return {"HOST": str(socket_dir(data_dir, "postgres")), "NAME": DATABASE_NAME, "USER": DATABASE_USER}


def redis_url(data_dir: Path) -> str:
    return f"unix://{redis_socket(data_dir)}"


def broker_url(url: str) -> str:
    """The same Redis as Celery names it: its transport calls a unix socket redis+socket://."""
    return url.replace("unix://", "redis+socket://", 1)


def remove_socket_dirs(data_dir: Path) -> None:
    """Remove the folders of servers that have ended; one in which something still is stays."""
    for server in ("postgres", "redis"):
        with contextlib.suppress(OSError):
            socket_dir(data_dir, server).rmdir()


def claim_private_dir(path: Path) -> None:
    """Create `path` with mode 700 or check that it is ours: another user may have made it first.

    Raises PermissionError where it belongs to somebody else or is a link.
    """
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if not path.is_dir() or path.is_symlink() or (os.geteuid() != 0 and status.st_uid != os.geteuid()):
        raise PermissionError(f"{path} belongs to another user; remove it or choose another WEDSYNC_DATA")
    path.chmod(0o700)
