"""The spool keeps order, survives crashes at any byte, and has an end."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wedsync_agent.spool import Busy, Spool

steps = st.lists(
    st.one_of(
        st.binary(max_size=40).map(lambda payload: ("append", payload)),
        st.just(("take", b"")),
        st.just(("reopen", b"")),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_what_goes_in_comes_out_once_and_in_order(history):
    with TemporaryDirectory() as folder:
        spool, waiting, taken, sent = Spool(Path(folder), segment_bytes=100), [], [], []
        for what, payload in history:
            if what == "append":
                spool.append(payload)
                waiting.append(payload)
                sent.append(payload)
            elif what == "take":
                records, place = spool.peek(max_bytes=60)
                taken += records
                assert records == waiting[: len(records)]
                waiting = waiting[len(records) :]
                spool.acknowledge(place)
            else:
                spool.close()
                spool = Spool(Path(folder), segment_bytes=100)
        taken += spool.peek(10**6)[0]
        spool.close()
        assert taken == sent


def test_a_crash_at_any_byte_loses_only_what_was_not_acknowledged_to_the_writer(tmp_path):
    whole = tmp_path / "whole"
    spool = Spool(whole)
    payloads = [b"first", b"second, longer", b""]
    for payload in payloads:
        spool.append(payload)
    spool.close()
    size = (whole / "000000000000.segment").stat().st_size
    ends = [8 + 5, 8 + 5 + 8 + 14, size]
    for cut in range(size + 1):
        torn = tmp_path / "torn"
        shutil.copytree(whole, torn)
        with (torn / "000000000000.segment").open("r+b") as stream:
            stream.truncate(cut)
        again = Spool(torn)
        again.append(b"after")
        kept = sum(end <= cut for end in ends)
        assert again.peek(10**6)[0] == [*payloads[:kept], b"after"]
        again.close()
        shutil.rmtree(torn)


def test_past_its_size_the_oldest_goes_and_is_counted(tmp_path):
    spool = Spool(tmp_path, max_bytes=1000, segment_bytes=200, samples_in=lambda payload: 2)
    for number in range(100):
        spool.append(f"{number:050d}".encode())
    records, _ = spool.peek(10**6)
    assert records[-1] == f"{99:050d}".encode()
    assert 2 * len(records) + spool.dropped_samples == 2 * 100
    assert sum(path.stat().st_size for path in tmp_path.glob("*.segment")) <= 1300
    spool.close()


def test_two_agents_do_not_share_a_spool(tmp_path):
    spool = Spool(tmp_path)
    with pytest.raises(Busy):
        Spool(tmp_path)
    spool.close()
