"""Journal faults: what is wrong with the journal's file, where, and what to do about it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from reconciler.errors import DurabilityError, JournalDamaged, NetworkFileSystem
from reconciler.store.filesystem import Mount

SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError, OverflowError)
"""What the bindings raise: a broken file may also break the message about it."""

_PRIMARY = 0xFF
"""The bits of an error's code without those that tell how it came to it."""

_PASSING = {
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY),
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR),
}
"""What the machine does to a file whose bytes may be right."""


def fault(file: Path, error: Exception) -> DurabilityError:
    """Judge one of SQLITE_ERRORS, which reading the journal raised."""
    return (unreadable if _is_passing(error) else damaged)(file, str(error))


def _is_passing(error: Exception) -> bool:
    # Moving a journal aside gives up history and last good, so that is only advised where the bytes
    # are wrong. A read past the end of a file is called an I/O error, and is the bytes.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & _PRIMARY in _PASSING and code != sqlite3.SQLITE_IOERR_SHORT_READ


def unreadable(file: Path, why: str) -> DurabilityError:
    """A journal that may be whole, and cannot be read now."""
    found = f"the journal {file} cannot be read: {why}"
    fix = (
        "free space, fix the permissions or the disk, or wait for who holds it; then run the"
        " command again"
    )
    message = f"{found}. Nothing was done, and nothing says that it is damaged: {fix}"
    return DurabilityError(message, found=f"{found}; nothing says that it is damaged", fix=fix)


def damaged(file: Path, why: str) -> JournalDamaged:
    """A journal that is not what was written."""
    folder = file.parent
    found = f"the journal {file} is damaged: {why}"
    fix = (
        f"To go on, move it aside (mv {folder} {folder}.damaged): engines that run are adopted"
        " by their marks, only history and last good are lost"
    )
    return JournalDamaged(f"{found}. Nothing was done. {fix}", found=found, fix=fix)


def lost(file: Path, *, is_there: bool) -> DurabilityError:
    """A journal whose file is another, or none, since it was read or written."""
    what = "was replaced by another file" if is_there else "is gone"
    return DurabilityError(
        f"the journal {file} {what}, so nothing more is done. Put the old one back and run the"
        " command again; without it the next command begins a new one, adopts engines that run by"
        " their marks, and knows no history"
    )


def on_network(file: Path, mount: Mount) -> NetworkFileSystem:
    """A journal whose disk is another machine's."""
    found = (
        f"the journal {file} would lie on a network file system ({mount.kind}, mounted on"
        f" {mount.point}), where a crash may lose what was recorded"
    )
    fix = "Choose a local disk: --data DIR, or RECONCILER_DATA"
    return NetworkFileSystem(f"{found}. Nothing was done. {fix}", found=found, fix=fix)
