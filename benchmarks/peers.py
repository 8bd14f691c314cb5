"""Other systems that are installed here, run beside ours on loopback to be asked the same."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.journeys.system import eventually, free_port
from tests.prometheus import snappy, write_request

# Labels, and (milliseconds, value) in order of time.
Written = tuple[dict[str, str], list[tuple[int, float]]]
_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


def has_prometheus() -> bool:
    return shutil.which("prometheus") is not None


@contextmanager
def prometheus() -> Iterator[httpx.Client]:
    """A Prometheus server that takes remote write."""
    folder, port = Path(tempfile.mkdtemp(prefix="wedsync-peer-")), free_port()
    config = folder / "prometheus.yml"
    config.write_text("global: {}\n", encoding="utf-8")
    command = [
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=60d", "--web.enable-remote-write-receiver",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "out.log").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            eventually(lambda: http.get("/-/ready").status_code == 200)
            yield http
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def write(http: httpx.Client, series: Sequence[Written]) -> None:
    """One request of remote write. Prometheus takes nothing that is an hour older than its newest sample."""
    body = snappy(write_request(series).SerializeToString())
    http.post("/api/v1/write", content=body, headers=_HEADERS).raise_for_status()


def settle(seconds: float = 3) -> None:
    """Let what was written be put away before anything is timed."""
    time.sleep(seconds)
