"""Measurements in the text formats of Prometheus (0.0.4) and OpenMetrics (1.0.0). Pure: no Django.

Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ and https://prometheus.io/docs/specs/om/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wedsync_monitor.selfmonitoring.measurements import Measurement, Metric

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def render(measured: Iterable[Measurement], metrics: Mapping[str, Metric], openmetrics: bool = False) -> str:
    """One family after the other, in the order of `metrics`; what `metrics` does not name is left out."""
    families: dict[str, list[Measurement]] = {}
    for one in measured:
        families.setdefault(one.name, []).append(one)
    lines: list[str] = []
    for name, metric in metrics.items():
        if name in families:
            # OpenMetrics names the family of a counter without the suffix of its samples.
            family = name.removesuffix("_total") if openmetrics and metric.kind == "counter" else name
            lines += [f"# HELP {family} {_text(metric.text, openmetrics)}", f"# TYPE {family} {metric.kind}"]
            lines += [f"{name}{_labels(one.labels)} {one.value:.17g}" for one in families[name]]
    return "\n".join([*lines, *(["# EOF"] if openmetrics else [])]) + "\n"


def _text(text: str, openmetrics: bool) -> str:
    escaped = text.replace("\\", r"\\").replace("\n", r"\n")
    return escaped.replace('"', r"\"") if openmetrics else escaped


def _labels(labels: Mapping[str, str]) -> str:
    pairs = (f'{name}="{_quoted(value)}"' for name, value in sorted(labels.items()))
    return f"{{{','.join(pairs)}}}" if labels else ""


def _quoted(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
