"""Control socket: where a running `serve` is reached on its machine, by its own user and root."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "control.sock"


def listening(folder: Path) -> socket.socket:
    """Bind the socket of a data directory, in place of one that is left of before; raise OSError.

    Only who holds the lock there may.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(folder) as near:
            path = near / NAME
            path.unlink(missing_ok=True)
            made.bind(str(path))
            # Before it listens: until then nothing can connect.
            path.chmod(0o600)
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    return made


def connected(folder: Path) -> socket.socket:
    """Connect to the socket of a data directory; raise OSError where nothing listens."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(folder) as near:
            made.connect(str(near / NAME))
    except OSError:
        made.close()
        raise
    return made


@contextmanager
def _short(folder: Path) -> Iterator[Path]:
    """A way to a folder that fits in the 107 bytes that the name of a socket may have."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
