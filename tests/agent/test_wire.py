"""The agent's wire form, read by the server's own decoder: what the agent sends is what the server takes."""

from __future__ import annotations

import math

import pytest
from wedsync_agent import wire
from wedsync_agent.wire import Reading

from assets.metrics import columnar
from assets.metrics.wire import Columns


def arrived(readings: list[Reading]) -> list[Columns]:
    decoded = columnar.decode(wire.join(wire.encode(1000, readings)))
    assert decoded.refusals == []
    return decoded.columns


def refused(reading: Reading) -> bool:
    return bool(columnar.decode(wire.join(wire.encode(1000, [reading]))).refusals)


LARGEST = [
    Reading("n" * 200, 1),
    Reading("m", 1, "u" * 50),
    Reading("m", 1, labels={"name": "v" * 500}),
    Reading("m", 1, labels={"n" * 200: ""}),
    Reading("m", 1, labels={f"l{number}": "v" for number in range(32)}),
    Reading("m", 1, labels={"query": "SELECT 'ß'\n🎂"}),
]
MISFITS = [
    Reading("", 1),
    Reading("n" * 201, 1),
    Reading("line\nbreak", 1),
    Reading("m", 1, "u" * 51),
    Reading("m", 1, labels={"name": "v" * 501}),
    Reading("m", 1, labels={"": "v"}),
    Reading("m", 1, labels={"n" * 201: "v"}),
    Reading("m", 1, labels={"name": "nul\0"}),
    Reading("m", 1, labels={f"l{number}": "v" for number in range(33)}),
]


@pytest.mark.parametrize("reading", LARGEST)
def test_what_fits_for_the_agent_the_server_takes(reading):
    assert wire.fits(reading)
    assert not refused(reading)


@pytest.mark.parametrize("reading", MISFITS)
def test_what_the_server_refuses_does_not_fit_for_the_agent(reading):
    assert refused(reading)
    assert not wire.fits(reading)


def test_bytes_that_are_no_text_do_not_fit():
    mount = b"/mnt/\xff".decode(errors="surrogateescape")
    assert not wire.fits(Reading("disk_free_bytes", 1, labels={"mount": mount}))


def test_a_value_that_is_not_finite_is_no_sample():
    (columns,) = arrived([Reading("a", math.inf), Reading("b", 2.0), Reading("c", math.nan)])
    values = columns.values.tolist()[0]
    assert values[1] == 2.0
    assert math.isnan(values[0])
    assert math.isnan(values[2])


def test_more_series_than_a_batch_holds_go_in_several():
    batches = arrived([Reading("m", number, labels={"n": str(number)}) for number in range(25_000)])
    assert [len(columns.series) for columns in batches] == [10_000, 10_000, 5_000]
    assert sum(columns.values.sum() for columns in batches) == sum(range(25_000))


def test_instants_with_the_same_series_travel_as_one_batch():
    instants = [batch for stamp in (1, 2, 3) for batch in wire.encode(stamp, [Reading("a", stamp), Reading("b", 0)])]
    (columns,) = columnar.decode(wire.join(instants)).columns
    assert columns.timestamps.tolist() == [1, 2, 3]
    assert columns.values.tolist() == [[1, 0], [2, 0], [3, 0]]


def test_a_batch_tells_how_many_samples_it_holds():
    (batch,) = wire.encode(1, [Reading("a", 1), Reading("b", math.nan), Reading("c", 3)])
    assert wire.samples_in(batch) == 3
