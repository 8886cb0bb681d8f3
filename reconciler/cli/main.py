"""Main: whatever happens in any verb ends in a sentence and an exit code of the table."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from reconciler import __version__
from reconciler.cli.arguments import parse, verb_of
from reconciler.cli.dispatch import ACTS, run
from reconciler.cli.terminal import open_streams, say, settle_streams, write
from reconciler.errors import Misused, ReconcilerError
from reconciler.verbs.result import INTERRUPTED, LEFT_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LEFT = "quit; nothing was changed"


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; data goes to stdout, the rest to stderr."""
    given = list(sys.argv[1:] if words is None else words)
    open_streams()
    try:
        return _answered(given)
    except BaseExceptionGroup as group:
        return _all_told(group, given)
    except (
        Exception,  # noqa: BLE001 - the one place where whatever is left ends
        KeyboardInterrupt,
    ) as error:
        return _told(error, given)
    finally:
        settle_streams()


def _answered(words: Sequence[str]) -> int:
    asked = parse(words)
    if asked.version:
        write(f"reconciler {__version__}")
        return 0
    if asked.verb is None:
        raise Misused(
            "found no command, expected one such as `reconciler plan`; see `reconciler --help`"
        )
    return run(asked)


def _all_told(group: BaseExceptionGroup[BaseException], words: Sequence[str]) -> int:
    return max(_told(error, words) for error in _leaves(group))


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _leaves(one)
        else:
            yield one


def _told(error: BaseException, words: Sequence[str]) -> int:
    if isinstance(error, ReconcilerError):
        _say(error)
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        say(f"reconciler: {str(error) or _left(words)}")
        return INTERRUPTED
    from reconciler.cli import crash  # noqa: PLC0415 - only who needs it pays for it

    return crash.told(error, words)


def _left(words: Sequence[str]) -> str:
    return LEFT_AT_ONCE if verb_of(words) in ACTS else LEFT


def _say(error: ReconcilerError) -> None:
    # Each of several problems begins in the same way, so that a search finds all of them.
    lines = error.message.split("\n")
    say("\n".join(_line(f"reconciler: {error.reason}: ", line) for line in lines))


def _line(prefix: str, line: str) -> str:
    # An indented line belongs to the problem above it.
    return line if line.startswith(" ") else f"{prefix}{line}"
