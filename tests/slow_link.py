"""A long line, as ssh's ProxyCommand: bytes between stdin, stdout and a port, each delayed."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from queue import Queue
from threading import Thread

CHUNK = 65536


def carry(read: Callable[[], bytes], write: Callable[[bytes], object], seconds: float) -> None:
    """Write what is read, each piece `seconds` after it came, until there is no more."""
    under_way: Queue[tuple[float, bytes]] = Queue()

    def take() -> None:
        while piece := read():
            under_way.put((time.monotonic() + seconds, piece))
        under_way.put((0.0, b""))

    Thread(target=take, daemon=True).start()
    while True:
        due, piece = under_way.get()
        if not piece:
            return
        time.sleep(max(0.0, due - time.monotonic()))
        write(piece)


def main(host: str, port: str, seconds: str) -> None:
    """Carry until the other end closes."""
    with socket.create_connection((host, int(port))) as far:
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        Thread(
            target=carry, args=(lambda: os.read(0, CHUNK), far.sendall, float(seconds)), daemon=True
        ).start()
        carry(lambda: far.recv(CHUNK), lambda piece: os.write(1, piece), float(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
