"""Packed bodies are unpacked whole or refused."""

from __future__ import annotations

import gzip
import io

import pytest
import zstandard

from assets.metrics import wire

TEXT = b"".join(b"line %d\n" % number for number in range(20_000))


def zstd(text: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=True).compress(text)


def zstd_of_unknown_size(text: bytes) -> bytes:
    packed = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(packed, closefd=False) as stream:
        stream.write(text)
    return packed.getvalue()


PACKERS = [("gzip", gzip.compress), ("zstd", zstd), ("zstd", zstd_of_unknown_size)]


@pytest.mark.parametrize(("encoding", "pack"), PACKERS)
def test_a_body_of_several_parts_is_unpacked_whole(encoding, pack):
    for parts in ([TEXT], [TEXT, TEXT], [TEXT[:10], TEXT, b"", TEXT]):
        whole = b"".join(parts)
        body = b"".join(map(pack, parts))
        assert wire.unpack(body, encoding, len(whole)) == whole
        with pytest.raises(wire.TooLarge):
            wire.unpack(body, encoding, len(whole) - 1)
    assert wire.unpack(gzip.compress(TEXT) + bytes(512), "gzip", len(TEXT)) == TEXT


@pytest.mark.parametrize(("encoding", "pack"), PACKERS)
def test_a_body_that_is_cut_off_is_refused_wherever_it_ends(encoding, pack):
    first, second = pack(TEXT), pack(TEXT[:5000])
    for end in (1, 20, len(first) // 2, len(first) - 1, len(first) + 2, len(first) + len(second) // 2):
        with pytest.raises(wire.Malformed):
            wire.unpack((first + second)[:end], encoding, 10_000_000)


@pytest.mark.parametrize(("encoding", "pack"), PACKERS)
def test_a_body_of_too_many_parts_or_with_something_behind_them_is_refused(encoding, pack):
    for body in (pack(b"x") * 101, pack(TEXT) + b"garbage"):
        with pytest.raises(wire.Malformed):
            wire.unpack(body, encoding, 10_000_000)
