"""The installation's secret key: from the environment, or made once in the data folder."""

import os
import secrets
from pathlib import Path


def secret_key(data_dir: Path) -> str:
    """WEDSYNC_SECRET_KEY, or the content of `data_dir`/secret-key (made with mode 600 where missing)."""
    if key := os.environ.get("WEDSYNC_SECRET_KEY"):
        return key
    path = data_dir / "secret-key"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(48))
    return path.read_text().strip()


def write_private(path: Path, content: str) -> None:
    """Write `content` to `path` with mode 600, whole or not at all; the first of two writers wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(content + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(scratch, path)
    except FileExistsError:
        pass
    finally:
        scratch.unlink()
