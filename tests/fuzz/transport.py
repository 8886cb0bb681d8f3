"""A transport to nobody."""

from __future__ import annotations


class Deaf:
    """A transport that goes nowhere, and knows whether it was closed."""

    def __init__(self) -> None:
        self._is_closed = False

    def write(self, piece: bytes) -> None: ...

    def is_closing(self) -> bool:
        return self._is_closed

    def close(self) -> None:
        self._is_closed = True

    abort = close

    def set_write_buffer_limits(self, _: int) -> None: ...
