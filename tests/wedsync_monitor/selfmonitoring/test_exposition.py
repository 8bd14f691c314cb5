"""The exposition formats: read back by the agent's parser, and held to the formats' own rules."""

from __future__ import annotations

import re

from wedsync_agent.collectors.exporter import parse

from wedsync_monitor.selfmonitoring.exposition import render
from wedsync_monitor.selfmonitoring.measurements import METRICS, Measurement, Metric

KINDS = {
    "queue_depth": Metric("gauge", "", 'Of a "queue" \\ with\nlines.'),
    "hits_total": Metric("counter", "", "Hits."),
}
MEASURED = [
    Measurement("hits_total", 3, {"way": "a", "code": "200"}),
    Measurement("queue_depth", 0.1, {"queue": 'a "b" \\ c\nd'}),
    Measurement("hits_total", 4.5e20),
    Measurement("queue_depth", 7, {"queue": "default"}),
    Measurement("unheard_of", 1),
]


def test_what_is_written_is_read_back():
    page = parse(render(MEASURED, KINDS))
    assert page.skipped == 0
    found = {(one.name, tuple(sorted(one.labels.items()))): (one.kind, one.value) for one in page.readings}
    assert found == {
        ("queue_depth", (("queue", 'a "b" \\ c\nd'),)): ("gauge", 0.1),
        ("queue_depth", (("queue", "default"),)): ("gauge", 7),
        ("hits_total", (("code", "200"), ("way", "a"))): ("counter", 3),
        ("hits_total", ()): ("counter", 4.5e20),
    }


def test_a_family_is_in_one_piece_behind_its_help_and_type():
    lines = render(MEASURED, KINDS).splitlines()
    assert [line.split("{")[0].split(" ")[0] for line in lines] == [
        "#", "#", "queue_depth", "queue_depth", "#", "#", "hits_total", "hits_total",
    ]  # fmt: skip
    assert lines[0] == r'# HELP queue_depth Of a "queue" \\ with\nlines.'
    assert lines[5] == "# TYPE hits_total counter"


def test_openmetrics_names_a_counters_family_without_its_suffix_and_says_where_it_ends():
    lines = render(MEASURED, KINDS, openmetrics=True).splitlines()
    assert "# TYPE hits counter" in lines
    assert 'hits_total{code="200",way="a"} 3' in lines
    assert r"# HELP queue_depth Of a \"queue\" \\ with\nlines." in lines
    assert lines[-1] == "# EOF"


def test_every_metric_is_named_as_its_kind_asks():
    for name, metric in METRICS.items():
        assert re.fullmatch(r"wedsync_[a-z_]+", name)
        assert metric.kind == ("counter" if name.endswith("_total") else "gauge")
        assert metric.text.endswith(".")
