"""The on-disk spool: what was measured and is not yet acknowledged by the server, in order.

Segments are append-only files of records: length (4 bytes), CRC-32 (4 bytes), payload. The cursor file names the first
record that is not acknowledged. A torn end after a crash is cut off by its checksum. The spool has a size; past it the
oldest segment goes, and the samples that it held are counted as dropped.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_HEAD = struct.Struct("<II")
SEGMENT_BYTES = 4 * 1024 * 1024


class Busy(Exception):
    """Another agent uses this spool."""


@dataclass(frozen=True)
class Position:
    """A place in the spool: segment number and offset in bytes."""

    segment: int
    offset: int


class Spool:
    """Thread-safe: one thread appends, another reads and acknowledges. Raises Busy where it is in use.

    `samples_in` says how many samples a record holds.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int = 256 * 1024 * 1024,
        segment_bytes: int = SEGMENT_BYTES,
        samples_in: Callable[[bytes], int] = lambda payload: 1,
    ):
        self.folder, self.max_bytes, self.segment_bytes = folder, max_bytes, segment_bytes
        self.samples_in, self.dropped_samples = samples_in, 0
        self._guard = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise Busy(f"another agent uses {folder}") from error
        self._cut_torn_end()
        self._cursor = self._read_cursor()
        last = self._segments()[-1] if self._segments() else self._cursor.segment
        self._number = max(last, self._cursor.segment)
        self._stream = self._path(self._number).open("ab")

    def close(self) -> None:
        self._stream.close()
        self._lock.close()

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:012d}.segment"

    def _segments(self) -> list[int]:
        return sorted(int(path.stem) for path in self.folder.glob("*.segment"))

    def append(self, payload: bytes) -> None:
        """Keep `payload` durably; when this returns it survives a crash."""
        with self._guard:
            if self._stream.tell() >= self.segment_bytes:
                self._stream.close()
                self._number += 1
                self._stream = self._path(self._number).open("ab")
                self._make_room()
            self._stream.write(_HEAD.pack(len(payload), zlib.crc32(payload)) + payload)
            self._stream.flush()
            os.fsync(self._stream.fileno())

    def _make_room(self) -> None:
        segments = self._segments()
        sizes = {number: self._path(number).stat().st_size for number in segments}
        while sum(sizes.values()) > self.max_bytes and len(sizes) > 1:
            oldest = min(sizes)
            start = self._cursor.offset if self._cursor.segment == oldest else 0
            self.dropped_samples += sum(self.samples_in(payload) for payload in self._records(oldest, start))
            self._path(oldest).unlink()
            del sizes[oldest]
            if self._cursor.segment <= oldest:
                self._move_cursor(Position(min(sizes), 0))

    def peek(self, max_bytes: int, max_records: int = 1000) -> tuple[list[bytes], Position]:
        """The next records, of `max_bytes` together (at least one where there is any), and the place behind them."""
        with self._guard:
            payloads: list[bytes] = []
            size, place = 0, self._cursor
            for number in [one for one in self._segments() if one >= self._cursor.segment]:
                offset = self._cursor.offset if number == self._cursor.segment else 0
                for payload in self._records(number, offset):
                    if payloads and (size + len(payload) > max_bytes or len(payloads) >= max_records):
                        return payloads, place
                    offset += _HEAD.size + len(payload)
                    size, place = size + len(payload), Position(number, offset)
                    payloads.append(payload)
            return payloads, place

    def _records(self, number: int, offset: int) -> list[bytes]:
        try:
            content = self._path(number).read_bytes()
        except FileNotFoundError:
            return []
        records = []
        while offset + _HEAD.size <= len(content):
            length, checksum = _HEAD.unpack_from(content, offset)
            payload = content[offset + _HEAD.size : offset + _HEAD.size + length]
            if len(payload) < length or zlib.crc32(payload) != checksum:
                break
            records.append(payload)
            offset += _HEAD.size + length
        return records

    def acknowledge(self, place: Position) -> None:
        """Forget everything before `place`: the server has it."""
        with self._guard:
            if (place.segment, place.offset) <= (self._cursor.segment, self._cursor.offset):
                return
            self._move_cursor(place)
            for number in self._segments():
                if number < place.segment and number != self._number:
                    self._path(number).unlink()

    def _move_cursor(self, place: Position) -> None:
        scratch = self.folder / "cursor.new"
        with scratch.open("w") as stream:
            stream.write(f"{place.segment} {place.offset}")
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(self.folder / "cursor")
        self._cursor = place

    def _read_cursor(self) -> Position:
        with contextlib.suppress(FileNotFoundError, ValueError):
            segment, offset = (self.folder / "cursor").read_text().split()
            return Position(int(segment), int(offset))
        segments = self._segments()
        return Position(segments[0] if segments else 0, 0)

    def _cut_torn_end(self) -> None:
        """After a crash the last segment may end in half a record: what follows would never be read."""
        if not (segments := self._segments()):
            return
        path = self._path(segments[-1])
        whole = sum(_HEAD.size + len(payload) for payload in self._records(segments[-1], 0))
        if whole < path.stat().st_size:
            with path.open("r+b") as stream:
                stream.truncate(whole)

    def depth_bytes(self) -> int:
        """How many bytes wait to be acknowledged."""
        with self._guard:
            sizes = [self._path(number).stat().st_size for number in self._segments() if number >= self._cursor.segment]
            return max(sum(sizes) - self._cursor.offset, 0)
