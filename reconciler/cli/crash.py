"""Crash: an unforeseen error ends in one sentence, a traceback in a file, and a known exit code."""

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
LEAVES_DOUBT = {"apply", "use", "retry", "restart", "rollback", "hold", "resume", "demo"}
"""Verbs whose outcome is unknown after a crash. A watch is not among them: its service manager
starts it again, and it looks first."""


def told(error: BaseException, words: Sequence[str]) -> int:
    """Tell what happened and where its traceback is, and choose the exit code."""
    what = trace.told(_folders(words), error)
    say(f"reconciler: {Unexpected.__name__}: {what}. `reconciler status` says how things are now")
    return _exit_code(words)


def _exit_code(words: Sequence[str]) -> int:
    return UNKNOWN if verb_of(words) in LEAVES_DOUBT else Unexpected.exit_code


def _folders(words: Sequence[str]) -> Iterator[Path]:
    """Yield where a traceback may be written, the best place first."""
    # The command line may be what is wrong: then it names no data directory.
    with suppress(ReconcilerError, AttributeError):
        yield settings(os.environ, None, parse(words).data).data_directory / "traces"
    yield from _temporary()


def _temporary() -> Iterator[Path]:
    with suppress(OSError):
        folder = Path(tempfile.gettempdir()) / f"reconciler-{os.geteuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        # Every user may write to /tmp: another one may have made a folder or link of this name.
        if _is_private(folder.lstat()):
            yield folder


def _is_private(seen: os.stat_result) -> bool:
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.geteuid() and not seen.st_mode & OTHERS
