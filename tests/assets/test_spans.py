"""Which span of time a request asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from assets.spans import BadSpan, span_of

NOW = datetime(2026, 6, 12, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("parameters", "hours"),
    [({}, 1), ({"range": "6h"}, 6), ({"range": "30d"}, 720), ({"from": "2026-06-12T11:00:00Z"}, 3)],
)
def test_a_span_ends_now_unless_it_says_otherwise(parameters, hours):
    span = span_of(parameters, NOW)
    assert (span.start, span.end) == (NOW - timedelta(hours=hours), NOW)


def test_from_and_to_may_have_any_offset():
    span = span_of({"from": "2026-06-12T10:00:00+02:00", "to": "2026-06-12T09:00:00Z"}, NOW)
    assert span.end - span.start == timedelta(hours=1)


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"range": "2w"}, "range"),
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-06-12T09:00:00"}, "to"),
        ({"from": "2026-06-12T14:00:00Z", "to": "2026-06-12T13:00:00Z"}, "from"),
        ({"from": "2020-01-01T00:00:00Z"}, "from"),
        ({"from": "0001-01-01T00:00:00Z"}, "from"),
    ],
)
def test_what_makes_no_span_is_refused_with_its_field(parameters, field):
    with pytest.raises(BadSpan) as refusal:
        span_of(parameters, NOW)
    assert refusal.value.field == field
