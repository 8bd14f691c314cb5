"""The HTTP/1.1 reader against every way in which bytes may come."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wedsync_agent.probes import http1
from wedsync_agent.probes.base import Surroundings, Trace, Trouble

HEAD = b"HTTP/1.1 200 OK\r\nX-A:  b \r\nx-a: c\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = HEAD + b"3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: t\r\n\r\n"


class Pieces:
    """A connection that brings the pieces one by one and then ends."""

    def __init__(self, pieces):
        self._pieces = [piece for piece in pieces if piece]

    async def send(self, data):
        pass

    async def receive(self):
        return self._pieces.pop(0) if self._pieces else b""


def read(*pieces, max_body=1000):
    return asyncio.run(http1.exchange(Pieces(pieces), "GET", b"", max_body, Trace(Surroundings())))


@settings(max_examples=30)
@given(st.lists(st.integers(0, len(WHOLE)), max_size=8))
def test_an_answer_is_the_same_however_it_is_cut(cuts):
    places = [0, *sorted(cuts), len(WHOLE)]
    answer = read(*[WHOLE[start:end] for start, end in pairwise(places)])
    assert (answer.status, answer.body, answer.joined["x-a"]) == (200, b"abcde", "b, c")


@settings(max_examples=60)
@given(st.integers(0, len(WHOLE)), st.binary(max_size=30), st.integers(0, 40))
def test_whatever_comes_is_an_answer_or_a_trouble(place, inserted, dropped):
    with suppress(Trouble):
        assert 100 <= read(WHOLE[:place] + inserted + WHOLE[place + dropped :]).status < 600


def test_an_answer_of_tiny_chunks_ends():
    with pytest.raises(Trouble, match="more than 20000 chunks"):
        read(HEAD, b"1\r\nx\r\n" * 20_001, max_body=10**6)
