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
from reconciler.verbs.result import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OTHERS = 0o077
LEAVES_DOUBT = {"apply", "use", "retry", "rollback", "hold", "resume", "demo"}
"""What ends with an outcome that nobody knows. A watch is started again by whoever keeps it, and
looks first."""


def told(error: BaseException, words: Sequence[str]) -> int:
    """Say what happened and where more of it stands, and return the exit code."""
    told_of = trace.told(_folders(words), error)
    say(
        f"reconciler: {Unexpected.__name__}: {told_of}. `reconciler status` says how things are now"
    )
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
