"""The text exposition format as exporters write it, and as they should not."""

import math

from wedsync_agent.collectors.exporter import parse

PAGE = """\
# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400"}    3
# TYPE temperature gauge
temperature{place="C:\\\\DIR\\\\",note="a \\"b\\" c\\nd"} -1.5e3
# TYPE latency histogram
latency_bucket{le="+Inf"} 144320
latency_sum 53423
latency_count 144320
odd_values +Inf
nothing NaN
broken{a="b} 3
{} 4
novalue
trailing{a="1",} 2
"""


def test_samples_types_and_labels_are_read():
    page = parse(PAGE, {"env": "test"})
    found = {(one.name, one.labels.get("code") or one.labels.get("le")): one for one in page.readings}
    assert found["http_requests_total", "200"].value == 1027
    assert found["http_requests_total", "200"].kind == "counter"
    assert found["temperature", None].labels == {"place": "C:\\DIR\\", "note": 'a "b" c\nd', "env": "test"}
    assert found["temperature", None].kind == "gauge"
    assert found["latency_bucket", "+Inf"].kind == "counter"
    assert found["odd_values", None].value == math.inf
    assert math.isnan(found["nothing", None].value)
    assert found["trailing", None].value == 2


def test_lines_that_cannot_be_read_are_counted_and_skipped():
    assert parse(PAGE).skipped == 3
