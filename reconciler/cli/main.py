"""One face for all verbs."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from reconciler import __version__
from reconciler.cli.arguments import parse
from reconciler.cli.doing import run
from reconciler.cli.terminal import say
from reconciler.errors import Misused, ReconcilerError
from reconciler.verbs.outcome import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Sequence

OBJECTS_PER_COLLECTION = 50_000
"""Looking for garbage among what is being imported would take a tenth of a short command's time."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code. Data goes to stdout, everything else to stderr."""
    try:
        asked = parse(sys.argv[1:] if words is None else words)
        if asked.version:
            sys.stdout.write(f"reconciler {__version__}\n")
            return 0
        if asked.verb is None:
            raise Misused("say what to do, such as `reconciler plan`; `reconciler --help` shows all")
        gc.set_threshold(OBJECTS_PER_COLLECTION)
        return run(asked)
    except ReconcilerError as error:
        _say(error)
        return error.exit_code
    except KeyboardInterrupt:
        say("reconciler: left at once; what was begun stands in the journal, the next command looks again")
        return INTERRUPTED
    except BaseExceptionGroup as group:
        return _grouped(group)


def _say(error: ReconcilerError) -> None:
    """Say what is wrong, each of several problems with the same beginning: a search finds all. Indented lines belong to one."""
    lines = error.message.split("\n")
    say("\n".join(line if line.startswith(" ") else f"reconciler: {error.reason}: {line}" for line in lines))


def _grouped(group: BaseExceptionGroup[BaseException]) -> int:
    """Say what several tasks said, once each."""
    known, rest = group.split(ReconcilerError)
    if rest is not None or known is None:
        raise group
    errors = _leaves(known)
    for error in errors:
        _say(error)
    return max(error.exit_code for error in errors)


def _leaves(group: BaseExceptionGroup[ReconcilerError]) -> list[ReconcilerError]:
    found: list[ReconcilerError] = []
    for one in group.exceptions:
        found += _leaves(one) if isinstance(one, BaseExceptionGroup) else [one]
    return found
