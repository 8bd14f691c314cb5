"""Real senders for two minutes: a Prometheus in agent mode, the OpenTelemetry SDK and the Influx client write to a
running system, and every sample that they sent is compared with what is read back."""

from __future__ import annotations

import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread
from typing import Any

from benchmarks.figures import Figure
from benchmarks.system import running
from tests.journeys.system import System, free_port

SECONDS, SERIES = 120, 50
_PROMETHEUS = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: soak
    static_configs: [{{targets: ["127.0.0.1:{exporter}"], labels: {{instance: soak-prometheus}}}}]
  - job_name: itself
    static_configs: [{{targets: ["127.0.0.1:{own}"], labels: {{instance: soak-prometheus-itself}}}}]
remote_write:
  - url: {url}/api/v1/write
    authorization: {{credentials: "{token}"}}
    queue_config: {{batch_send_deadline: 1s}}
"""

# {asset: {(metric name, ms): value}}; a scrape is stamped by who scrapes, so that its number stands for the time.
Sent = dict[tuple[str, int], float]


def measure() -> Iterator[Figure]:
    with running() as system:
        secret = system.command("api_token", "soak", "--role", "sre", "--scope", "metrics", "--may-discover")
        began = datetime.now(UTC) - timedelta(minutes=1)
        sent: dict[str, Sent] = {}
        with ExitStack() as senders:
            for name, sender in (("prometheus", prometheus), ("opentelemetry", opentelemetry), ("influx", influx)):
                if reason := _missing(name):
                    sys.stderr.write(f"{name} is left out: {reason}\n")
                else:
                    sent[name] = senders.enter_context(sender(system, secret))
            time.sleep(SECONDS)
        os.environ |= {"WEDSYNC_DATA": str(system.folder), "DJANGO_SETTINGS_MODULE": "wedsync_monitor.settings"}
        import django

        django.setup()
        for name, what in sent.items():
            yield from _compared(name, what, began)


def _missing(name: str) -> str | None:
    """Why a sender cannot be run here."""
    if name == "prometheus":
        return None if shutil.which("prometheus") else "install it, for example with apt-get install prometheus"
    module = {"opentelemetry": "opentelemetry.sdk", "influx": "influxdb_client"}[name]
    return None if find_spec(module) else f"the Python package {module} is not installed"


def _compared(name: str, sent: Sent, began: datetime) -> Iterator[Figure]:
    """How much was sent and read back, and how much of both has no equal on the other side."""
    stored = _by_scrape(_stored(f"soak-{name}", began)) if name == "prometheus" else _stored(f"soak-{name}", began)
    yield Figure(f"{name}: samples sent", len(sent), "", SERIES * SECONDS / 4)
    yield Figure(f"{name}: samples read back", len(stored), "")
    missing = [one for one in sent if one not in stored]
    strange = [one for one in stored if one not in sent or stored[one] != sent[one]]
    yield Figure(f"{name}: samples that are missing", len(missing), "", 0, at_most=True)
    yield Figure(f"{name}: samples that nobody sent, or with another value", len(strange), "", 0, at_most=True)


def _stored(asset: str, began: datetime) -> Sent:
    from assets.metrics.query import SeriesSelector, read
    from assets.models import InfrastructureAsset

    ids = tuple(InfrastructureAsset.objects.filter(asset_name=asset).values_list("pk", flat=True))
    samples = read(SeriesSelector((), ids), began, datetime.now(UTC) + timedelta(minutes=1))
    return {
        (one.metric_name, stamp): value
        for place, one in enumerate(samples.series)
        if one.metric_name.startswith("soak_")
        for stamp, value in zip(*(column.tolist() for column in samples.of(place)), strict=True)
    }


def _by_scrape(stored: Sent) -> Sent:
    """The same with the number of the scrape in place of the time."""
    numbers = {stamp: int(value) for (name, stamp), value in stored.items() if name == "soak_scrapes_total"}
    return {(name, numbers.get(stamp, -stamp)): value for (name, stamp), value in stored.items()}


@contextmanager
def prometheus(system: System, secret: str) -> Iterator[Sent]:
    """A Prometheus agent scrapes an exporter of ours and itself, and writes both."""
    sent: Sent = {}
    exporter = ThreadingHTTPServer(("127.0.0.1", 0), _exporter(sent))
    Thread(target=exporter.serve_forever, daemon=True).start()
    folder, own = Path(system.folder) / "prometheus", free_port()
    folder.mkdir()
    config = folder / "prometheus.yml"
    config.write_text(
        _PROMETHEUS.format(exporter=exporter.server_port, own=own, url=system.url, token=secret), encoding="utf-8"
    )
    command = [
        "prometheus", "--enable-feature=agent", f"--config.file={config}", f"--storage.agent.path={folder / 'wal'}",
        f"--web.listen-address=127.0.0.1:{own}",
    ]  # fmt: skip
    with (folder / "out.log").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        yield sent
        # What was scraped last is still to be written when no scrape follows.
        exporter.shutdown()
        exporter.server_close()
        time.sleep(5)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _exporter(sent: Sent) -> type[BaseHTTPRequestHandler]:
    source = random.Random(7)

    class Exporter(BaseHTTPRequestHandler):
        scrapes = 0

        def do_GET(self) -> None:
            type(self).scrapes += 1
            number = self.scrapes
            values = {"soak_scrapes_total": float(number)}
            values |= {f"soak_gauge_{place}": source.gauss(0, 1e6) for place in range(SERIES - 1)}
            body = "".join(f"{name} {value!r}\n" for name, value in values.items()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            sent.update({(name, number): value for name, value in values.items()})

        def log_message(self, *_: Any) -> None:
            pass

    return Exporter


@contextmanager
def opentelemetry(system: System, secret: str) -> Iterator[Sent]:
    """The SDK measures gauges and counters, and exports them once a second."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.metrics import CallbackOptions, Observation
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource

    sent: Sent = {}
    source = random.Random(8)

    class Exporter(OTLPMetricExporter):
        def export(self, metrics_data: MetricsData, *args: Any, **options: Any) -> MetricExportResult:
            for resource in metrics_data.resource_metrics:
                for metric in (one for scope in resource.scope_metrics for one in scope.metrics):
                    for point in metric.data.data_points:
                        sent[metric.name, point.time_unix_nano // 1_000_000] = float(point.value)  # type: ignore[union-attr]
            return super().export(metrics_data, *args, **options)

    def measured(_: CallbackOptions) -> list[Observation]:
        return [Observation(source.gauss(0, 1e6))]

    exporter = Exporter(f"{system.url}/v1/metrics", headers={"Authorization": f"Bearer {secret}"})
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=1000)
    provider = MeterProvider([reader], Resource({"host.name": "soak-opentelemetry"}))
    meter = provider.get_meter("soak")
    for place in range(SERIES - 1):
        meter.create_observable_gauge(f"soak_gauge_{place}", [measured])
    meter.create_observable_counter("soak_seconds", [lambda _: [Observation(math.floor(time.time()))]])
    try:
        yield sent
    finally:
        provider.shutdown()


@contextmanager
def influx(system: System, secret: str) -> Iterator[Sent]:
    """The client writes a batch of points once a second."""
    from influxdb_client import InfluxDBClient, Point, WritePrecision
    from influxdb_client.client.write_api import SYNCHRONOUS

    sent: Sent = {}
    source, done = random.Random(9), Event()

    def write() -> None:
        with InfluxDBClient(system.url, token=secret, org="any", enable_gzip=True) as client:
            api = client.write_api(write_options=SYNCHRONOUS)
            while not done.wait(1):
                stamp = time.time_ns() // 1_000_000
                values = {f"soak_gauge_{place}": source.gauss(0, 1e6) for place in range(SERIES)}
                api.write(
                    "any",
                    record=[
                        Point(name).tag("host", "soak-influx").field("value", value).time(stamp, WritePrecision.MS)
                        for name, value in values.items()
                    ],
                )
                sent.update({(name, stamp): value for name, value in values.items()})

    thread = Thread(target=write)
    thread.start()
    try:
        yield sent
    finally:
        done.set()
        thread.join()
