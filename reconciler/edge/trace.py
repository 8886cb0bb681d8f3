"""Keep the traceback of what nobody expected in a file, for whoever fixes the program: people are told its name."""

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
    """Return what an error says, and the file with its traceback: in the first of some folders that takes it."""
    first = _first(error)
    said = " ".join(f"{type(first).__name__}: {first}".split())[:LONGEST].rstrip(": ")
    file = next((one for folder in folders if (one := write(folder, error))), None)
    return f"{said}; its traceback {f'is in {file}' if file else 'could not be written'}"


def write(folder: Path, error: BaseException) -> Path | None:
    """Write the traceback of an error where only its owner reads it, and return the file.

    None where nothing can be written.

    The same traceback is the same file, so what goes wrong with every look fills no disk.
    """
    content = "".join(traceback.format_exception(error)).encode("utf-8", "replace")[-LARGEST:]
    path = folder / f"{sha256(content).hexdigest()[:12]}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb"
        ) as file:
            file.write(content)
    except OSError:
        return None
    _forget(folder)
    return path


def _first(error: BaseException) -> BaseException:
    """Return what says something: of what several tasks raised, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _forget(folder: Path) -> None:
    """Remove the oldest tracebacks beyond those that are kept; another process may be at it too."""
    with suppress(OSError):
        for old in sorted(folder.glob("*.txt"), key=lambda path: path.stat().st_mtime_ns)[
            :-KEPT_FILES
        ]:
            old.unlink()
