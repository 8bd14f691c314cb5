"""Columns at rest come back bit by bit."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.metrics import codec

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
anything = st.integers(0, 2**64 - 1).map(lambda word: struct.unpack("<d", struct.pack("<Q", word))[0])
specials = st.sampled_from([0.0, -0.0, float("nan"), float("inf"), float("-inf"), STALE, 5e-324, 1.7e308])
decimals = st.tuples(st.integers(-(10**9), 10**9), st.integers(0, 6)).map(lambda pair: pair[0] / 10 ** pair[1])
columns = st.one_of(
    st.lists(anything, min_size=1, max_size=80),
    st.lists(decimals, min_size=1, max_size=80),
    st.lists(st.one_of(decimals, specials), min_size=1, max_size=80),
    st.lists(st.just(42.5), min_size=1, max_size=80),
    st.lists(st.integers(-(2**53), 2**53).map(float), min_size=1, max_size=80),
)


def bits(values) -> list[int]:
    return np.array(values, dtype=np.float64).view(np.uint64).tolist()


def decoded(coded: list[bytes], counts: list[int]) -> list[np.ndarray]:
    """Each column's values; all of them at odd places of one buffer."""
    ends = np.cumsum([len(column) for column in coded], dtype=np.int64)
    starts = ends - np.array([len(column) for column in coded], dtype=np.int64)
    values = codec.decode(b"???" + b"".join(coded), starts + 3, ends + 3, np.array(counts, dtype=np.int64))
    return np.split(values, np.cumsum(counts)[:-1]) if counts else []


@given(st.lists(columns, min_size=1, max_size=8))
def test_columns_come_back_bit_by_bit(given):
    length = min(len(column) for column in given)
    table = np.array([column[:length] for column in given]).T.copy()
    found = decoded(codec.encode(table), [length] * len(given))
    assert [bits(column) for column in found] == [bits(column) for column in table.T]


@given(st.lists(columns, max_size=8))
def test_columns_of_different_lengths_are_decoded_together(given):
    coded = [codec.encode(np.array(column)[:, None])[0] for column in given]
    found = decoded(coded, [len(column) for column in given])
    assert [bits(column) for column in found] == [bits(column) for column in given]


@given(st.lists(st.integers(0, 3_600_000), min_size=1, max_size=400, unique=True).map(sorted), st.integers(0, 2**41))
def test_instants_come_back_however_irregular(offsets, start):
    timestamps = np.array(offsets, dtype=np.int64) + start
    coded = codec.encode_instants(timestamps)
    assert codec.decode_instants(coded, len(timestamps)).tolist() == timestamps.tolist()


def walk(step) -> np.ndarray:
    return 50 + np.cumsum(np.random.default_rng(7).normal(0, step, 360))


@pytest.mark.parametrize(
    ("values", "most"),
    [
        (np.full(360, 99.5), 0.05),
        (walk(0.5).round(2), 1.3),
        (np.cumsum(np.random.default_rng(7).integers(0, 500, 360)).astype(float), 1.4),
        (walk(10), 7.5),
    ],
    ids=["constant", "two decimals", "counter", "noise"],
)
def test_usual_series_take_few_bytes_a_sample(values, most):
    assert len(codec.encode(values[:, None])[0]) / len(values) <= most


def test_instants_of_many_blocks_come_back_one_after_the_other():
    regular, single = np.arange(5_000, 65_000, 10_000), np.array([7])
    irregular = np.cumsum([1_700_000_000_000, 10_000, 9_998, 10_002, 60_000])
    many = [regular, irregular, single, irregular + 1]
    coded = [codec.encode_instants(one.astype(np.int64)) for one in many]
    found = codec.decode_many_instants(coded, np.array([len(one) for one in many]))
    assert found.tolist() == np.concatenate(many).tolist()


def test_regular_instants_take_no_room():
    assert len(codec.encode_instants(np.arange(0, 3_600_000, 10_000))) == 16


def test_a_column_that_is_coded_in_no_known_way_is_refused():
    with pytest.raises(ValueError, match="coded as 9"):
        decoded([bytes([9, 1, 2])], [1])
