"""Traces of unforeseen errors: the traceback is kept in a file, whose name people are told."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

LARGEST = 64 * 1024
"""Bytes of one traceback that are kept: its end, where the error is."""

KEPT_FILES = 20
"""How many different tracebacks are kept: the latest."""

LONGEST = 200
"""Characters of an error's own words that are said; the file has all of them."""


def told(folders: Iterable[Path], error: BaseException) -> str:
    """Put an error into a sentence, and its traceback into the first folder that takes it."""
    file = next((one for folder in folders if (one := write(folder, error))), None)
    place = f"is in {file}" if file else "could not be written"
    return f"{_words(error)}; its traceback {place}"


def _words(error: BaseException) -> str:
    # A group says nothing itself: of what several tasks raised, the first is shown.
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST].rstrip(": ")


def write(folder: Path, error: BaseException) -> Path | None:
    """Write the traceback of an error where only its owner reads it, and return the file.

    None where it cannot be written.
    """
    content = "".join(traceback.format_exception(error)).encode("utf-8", "replace")[-LARGEST:]
    # The same traceback is the same file, so what goes wrong with every look fills no disk.
    path = folder / f"{sha256(content).hexdigest()[:12]}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_private(path, content)
    except OSError:
        return None
    _forget(folder)
    return path


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _forget(folder: Path) -> None:
    """Remove the oldest tracebacks beyond those that are kept."""
    # Another process may be at it too.
    with suppress(OSError):
        by_age = sorted(folder.glob("*.txt"), key=lambda path: path.stat().st_mtime_ns)
        for old in by_age[:-KEPT_FILES]:
            old.unlink()
