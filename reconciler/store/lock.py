"""The lock: one process acts on a data directory.

It is held by a descriptor, which no child inherits and no crash leaves behind.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reconciler.edge.atomic import remedy
from reconciler.errors import LockHeld, Unreachable
from reconciler.model.machine import HOMELESS

HOLDER_BYTES = 4096
HOLDER_CHARACTERS = 200
OBEYS = "obeys"


class FileLock:
    """`path` with flock. What is written inside is for the message only."""

    def __init__(self, path: Path, holder: str, prepare: Callable[[], None] = lambda: None) -> None:
        """Use a path.

        `holder` says who we are, `prepare` is called once it is held and may raise WriteFailed.
        """
        self._path = path
        self._holder = holder
        self._prepare = prepare

    @contextmanager
    def held(self, *, obeys: bool = False) -> Iterator[None]:
        """Take the lock for as long as the context lasts; raise LockHeld or Unreachable.

        `obeys` tells others that they may ask this process to act for them.
        """
        descriptor = self._opened()
        try:
            self._take(descriptor, f"{self._holder[:HOLDER_CHARACTERS]}\n{OBEYS if obeys else ''}")
            self._prepare()
            yield
            # Blanked and never removed: of a file that is removed under a lock, two processes may
            # each hold one. It keeps its room, for whoever begins on a disk that is full by then.
            with suppress(OSError):
                os.pwrite(descriptor, b" " * os.fstat(descriptor).st_size, 0)
        finally:
            os.close(descriptor)

    def _opened(self) -> int:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except (FileExistsError, NotADirectoryError) as error:
            raise Unreachable(
                f"{self._path.parent} is not a directory; choose another place with --data"
            ) from error
        except OSError as error:
            raise self._refused("opened", error) from error

    def _take(self, descriptor: int, text: str) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it may have been killed: of what that wrote, nothing is left over.
            os.ftruncate(descriptor, os.pwrite(descriptor, text.encode(), 0))
        except BlockingIOError as error:
            raise _taken(os.read(descriptor, HOLDER_BYTES)) from error
        except OSError as error:
            raise self._refused("written", error) from error

    def _refused(self, tried: str, error: OSError) -> Unreachable:
        """Word the refusal of a disk: nothing was done yet."""
        where = f"{self._path} cannot be {tried}: {error.strerror}"
        if str(self._path).startswith(HOMELESS):
            return Unreachable(
                f"{where}; HOME is not set: set it, or XDG_STATE_HOME, or --data. Nothing was done"
            )
        return Unreachable(
            f"{where}; {remedy(error)}, or choose another place with --data. Nothing was done"
        )


def _taken(written: bytes) -> LockHeld:
    # The holder may not have written its name yet.
    holder, _, manner = written.decode(errors="replace").strip(" ").partition("\n")
    who = holder or "another process"
    obeys = manner == OBEYS
    pid = re.search(r"\(pid (\d+)\)$", who)
    stop = f"`kill {pid[1]}` stops it, and engines keep running" if pid else "stop it"
    # What obeys goes on for as long as it is let.
    then = stop if obeys else f"wait for it, or {stop}"
    return LockHeld(f"{who} acts on this data directory now; {then}", obeys=obeys)
