"""Servers of tests: one thread each, ended with what they are for."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from socketserver import BaseServer

POLL_SECONDS = 0.02


@contextmanager
def served(server: BaseServer) -> Iterator[None]:
    """Let a server answer in a thread of its own, and close it at the end."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
