"""The command line with an event loop that notes how late it is, a thousand times a second."""

from __future__ import annotations

import sys
import time
from array import array
from pathlib import Path
from typing import NamedTuple

from reconciler.cli.main import main
from reconciler.edge import fast_loop

EACH = 0.001


class Noted(NamedTuple):
    """A moment by the clock of event loops, in seconds.

    How late the loop was then, and how much of that it had computed: on a busy machine it waits for
    a core as well.
    """

    at: float
    late: float
    computed: float


class NotedLoop(fast_loop.FastLoop):
    """The loop of `serve`, and what it notes."""

    file = Path()

    def __init__(self) -> None:
        super().__init__()
        self._noted = array("d")
        self._busy = time.thread_time()
        self._note(self.time())

    def _note(self, due: float) -> None:
        now, busy = self.time(), time.thread_time()
        late = max(now - due, 0.0)
        self._noted.extend((now, late, min(late, busy - self._busy)))
        self._busy = busy
        self.call_at(now + EACH, self._note, now + EACH)

    def close(self) -> None:
        super().close()
        self.file.write_bytes(self._noted.tobytes())


def noted(file: Path, since: float, until: float) -> list[Noted]:
    """What was noted between two moments."""
    found = array("d", file.read_bytes())
    every = (Noted(*three) for three in zip(found[::3], found[1::3], found[2::3], strict=True))
    return [one for one in every if since <= one.at <= until]


def now() -> float:
    """The moment by the clock of event loops, which all processes share."""
    return time.monotonic()


def install(file: Path) -> None:
    """Have `serve` run in the loop that notes, into a file."""
    NotedLoop.file = file
    fast_loop.FastLoop = NotedLoop  # type: ignore[misc]


def noted_in(file: str) -> None:
    """Run the command line, and note into a file."""
    install(Path(file))
    sys.exit(main())
