"""Journal view: the journal's file opened to be read, also on a disk that is full."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

from reconciler.store.journal_format import version_of

BUSY_SECONDS = 10.0
NO_ROOM = {
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMMAP,
}
"""Readers and writers share a file beside it, which a reader makes where it is not there."""


class JournalView(NamedTuple):
    """A connection that reads. One that does not `last` sees nothing of what is written later."""

    connection: sqlite3.Connection
    lasts: bool = True


def viewed(file: Path) -> JournalView:
    """Open a file; raise one of SQLITE_ERRORS."""
    connection = _opened(file, "mode=ro")
    try:
        version_of(connection)
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode not in NO_ROOM or _has_log(file):
            raise
        # All rows are in the file itself, and while there is no room nobody adds one.
        return JournalView(_opened(file, "mode=ro&immutable=1"), lasts=False)
    except BaseException:
        connection.close()
        raise
    return JournalView(connection)


def _opened(file: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{file.absolute().as_uri()}?{how}",
        uri=True,
        timeout=BUSY_SECONDS,
        check_same_thread=False,
    )


def _has_log(file: Path) -> bool:
    """Whether rows may be in the log beside the file, and not in it yet."""
    log = file.with_name(f"{file.name}-wal")
    return log.exists() and log.stat().st_size > 0
