"""Crash: an error that nobody foresaw ends in one sentence, a file with its traceback, and an exit code of the table."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.arguments import parse, verb_of
from reconciler.cli.terminal import say
from reconciler.edge import trace
from reconciler.errors import ReconcilerError, Unexpected
from reconciler.settings import settings
from reconciler.verbs.outcome import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LONGEST = 200
"""Characters of an error's own words that are said; the file has all of them."""

OTHERS = 0o077
LEAVES_DOUBT = {"apply", "use", "retry", "rollback", "hold", "resume", "demo"}
"""What ends with an outcome that nobody knows. A watch is started again by whoever keeps it, and looks first."""


def told(error: BaseException, words: Sequence[str]) -> int:
    """Say what happened and where more of it stands, and return the exit code."""
    said = f"{type(error).__name__}: {error}".partition("\n")[0][:LONGEST]
    files = (trace.write(folder, error) for folder in _folders(words))
    file = next((one for one in files if one), None)
    where = f"its traceback is in {file}" if file else "its traceback could not be written"
    say(f"reconciler: {Unexpected.__name__}: {said}; {where}. `reconciler status` says how things are now")
    return UNKNOWN if verb_of(words) in LEAVES_DOUBT else Unexpected.exit_code


def _folders(words: Sequence[str]) -> Iterator[Path]:
    """Yield where a traceback may be written, the best place first."""
    with suppress(ReconcilerError, AttributeError):
        yield settings(os.environ, None, parse(words).data).data_directory / "traces"
    with suppress(OSError):
        temporary = Path(tempfile.gettempdir()) / f"reconciler-{os.geteuid()}"
        temporary.mkdir(mode=0o700, exist_ok=True)
        if _is_private(temporary.lstat()):
            yield temporary


def _is_private(seen: os.stat_result) -> bool:
    """Return whether a folder in a place that everybody may write to is ours alone."""
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.geteuid() and not seen.st_mode & OTHERS
