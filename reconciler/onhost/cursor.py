"""A bounded way through the head of a binary file, little endian, that may claim any length."""

from __future__ import annotations

import struct
from typing import BinaryIO

from reconciler.onhost.problem import HostProblem

HEADER_LIMIT = 64 * 1024 * 1024
CHUNK = 1024 * 1024


class Cursor:
    """A place in a file that only moves forward, through at most HEADER_LIMIT bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._buffer, self._dropped = file, b"", 0
        self._at = 0

    @property
    def position(self) -> int:
        """How far into the file it is."""
        return self._dropped + self._at

    def need(self, count: int) -> int:
        """Step over `count` bytes that stay in the buffer; return where they begin there."""
        if self._at + count > len(self._buffer):
            self._fill(count)
        self._at += count
        return self._at - count

    def _fill(self, count: int) -> None:
        self._drop()
        if self._dropped + count > HEADER_LIMIT:
            raise HostProblem(f"its header is larger than {HEADER_LIMIT} bytes, or damaged")
        wanted = min(max(count, CHUNK), HEADER_LIMIT - self._dropped)
        while len(self._buffer) < count:
            self._buffer += self._more(wanted - len(self._buffer))

    def _more(self, count: int) -> bytes:
        chunk = self._file.read(count)
        if not chunk:
            raise HostProblem("its header is cut short; was the download interrupted?")
        return chunk

    def _drop(self) -> None:
        """Forget what is behind."""
        self._buffer = self._buffer[self._at :]
        self._dropped += self._at
        self._at = 0

    def take(self, count: int) -> bytes:
        """Read the next bytes."""
        begin = self.need(count)
        return self._buffer[begin : begin + count]

    def number(self, code: str) -> int | float:
        """Read the next number, little endian, of a struct code."""
        number: int | float = struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]
        return number

    def count(self) -> int:
        """Read the next whole number of eight bytes."""
        return int.from_bytes(self.take(8), "little")

    def kind(self) -> int:
        """Read the next whole number of four bytes."""
        return int.from_bytes(self.take(4), "little")

    def skip(self, count: int) -> None:
        """Step over bytes, however many, without keeping them."""
        while count > 0:
            step = min(count, CHUNK)
            self.need(step)
            count -= step

    def skip_strings(self, count: int) -> None:
        """Step over strings: the one loop that a vocabulary makes long."""
        # A vocabulary has a string for each of some 100,000 tokens: a call for each would cost more
        # than all the rest of the header.
        unpack = struct.Struct("<Q").unpack_from
        for _ in range(count):
            begin = self._at
            if begin + 8 > len(self._buffer):
                self.skip(self.count())
                continue
            length = unpack(self._buffer, begin)[0]
            if begin + 8 + length > len(self._buffer):
                self.need(8)
                self.skip(length)
            else:
                self._at = begin + 8 + length
