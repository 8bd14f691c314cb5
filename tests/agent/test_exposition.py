"""Both formats of exporters' pages, as written and as they should not be."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wedsync_agent.collectors import exporter
from wedsync_agent.exposition import Unreadable, named, parse, with_labels

OPENMETRICS = """\
# TYPE http_requests counter
# UNIT http_requests requests
# HELP http_requests Requests.
http_requests_total{code="200"} 1027 1395066363.123 # {trace_id="oHg5"} 0.67 1520879607.789
http_requests_created{code="200"} 1395066000.5
# TYPE latency histogram
latency_bucket{le="0.5"} 3 # {} 0.2
latency_count 4
# TYPE build info
build_info{version="1.2"} 1
# EOF
"""


def test_openmetrics_has_seconds_exemplars_units_and_families_without_suffix():
    lines = {line.series: line for line in parse(OPENMETRICS, openmetrics=True).lines}
    total = lines['http_requests_total{code="200"}']
    assert (total.value, total.timestamp_ms, total.kind, total.unit) == (1027, 1395066363123, "counter", "requests")
    assert lines['http_requests_created{code="200"}'].kind == "gauge"
    assert lines['latency_bucket{le="0.5"}'].kind == lines["latency_count"].kind == "counter"
    assert lines['build_info{version="1.2"}'].kind == "gauge"


def test_an_openmetrics_page_without_its_end_is_not_taken():
    with pytest.raises(Unreadable):
        parse(OPENMETRICS.replace("# EOF\n", ""), openmetrics=True)


def test_the_older_format_has_milliseconds():
    (line,) = parse("a 1 1395066363000").lines
    assert line.timestamp_ms == 1395066363000
    assert parse("a 1 1395066363.5").skipped == 1


@pytest.mark.parametrize(
    ("line", "value"),
    [("a +Inf", math.inf), ("a -Inf", -math.inf), ("a 1e3", 1000), ("a\t 0x", None), ("a 1_0", None), ("a", None),
     ('a{b="c"}5', 5), ('a{b="}",c="{ "} 5', 5), ('a{b="c} 5', None), ("1a 5", None), ("a 5 6 7", None)],
)  # fmt: skip
def test_values_are_read_or_the_line_is_skipped(line, value):
    page = parse(line)
    assert [one.value for one in page.lines] == ([] if value is None else [value])
    assert page.skipped == (value is None)


def test_lines_past_the_limit_are_counted():
    page = parse("a 1\nb 2\nc 3\n", limit=2)
    assert (len(page.lines), page.skipped) == (2, 1)


def test_a_targets_labels_win_and_what_was_said_is_kept():
    found = with_labels({"instance": "inner", "queue": "mail", "empty": ""}, {"instance": "web:1", "job": "node"})
    assert found == {"exported_instance": "inner", "queue": "mail", "instance": "web:1", "job": "node"}


def test_a_label_named_asset_is_kept_under_a_name_that_nothing_else_has():
    assert with_labels({"asset": "A1", "exported_asset": "x"}, {}) == {
        "exported_exported_asset": "A1", "exported_asset": "x",
    }  # fmt: skip
    assert exporter.parse('m{asset="A1"} 1').readings[0].labels == {"exported_asset": "A1"}


LABELS = st.dictionaries(st.text("ab_", min_size=1, max_size=5), st.text(max_size=20), max_size=5)


@settings(max_examples=50)
@given(LABELS)
def test_any_label_survives_its_escaping(labels):
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    series = "m{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items()) + "}"
    if "\n" not in series:
        (line,) = parse(f"{series} 1").lines
        assert named(line.series) == ("m", labels)


@settings(max_examples=50)
@given(st.text(max_size=300))
def test_no_text_is_an_error(text):
    page = parse(text)
    for line in page.lines:
        named(line.series)


@pytest.mark.parametrize(
    "line", ["a{" + '"' * 200_001, "a{" + 'b="c",' * 50_000, "a" + " " * 200_000 + "1 x y", "a" * 200_000]
)
def test_a_hostile_line_takes_no_time(line):
    began = time.process_time()
    assert parse(line).skipped == 1
    assert time.process_time() - began < 1
