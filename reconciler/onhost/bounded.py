"""A connection for one exchange over HTTP, bounded in time and in bytes."""

from __future__ import annotations

import socket
import time
from typing import Any

HEADERS = {"Connection": "close", "Accept-Encoding": "identity"}


class TooLarge(Exception):
    """An answer has more bytes than it may."""


class Bounded(socket.socket):
    """A connection that ends in `seconds` and after `limit` bytes, whatever the other end sends."""

    def __init__(self, seconds: float, limit: int, family: int = socket.AF_INET) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._until, self._left = time.monotonic() + seconds, limit
        self.settimeout(seconds)

    # Any buffer that can be written into.
    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:  # noqa: ANN401
        """Receive what comes next in the time that is left.

        Every reader of a socket's file goes through here.
        """
        seconds = self._until - time.monotonic()
        if seconds <= 0:
            raise socket.timeout
        self.settimeout(seconds)
        size = super().recv_into(buffer, nbytes, flags)
        self._left -= size
        if self._left < 0:
            raise TooLarge
        return size
