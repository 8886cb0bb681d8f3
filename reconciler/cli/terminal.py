"""The terminal: what is written to standard output and standard error, and what is asked there."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any, TextIO

from reconciler.errors import NotApproved, Unreachable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from reconciler.model.names import Value
    from reconciler.render.documents import PlanDocument
    from reconciler.render.terminal_style import Look


NOTHING_BEGUN = "left at the question; nothing was begun, and nothing was changed"
STREAMS = ("stdin", "stdout", "stderr")


def open_streams() -> None:
    """Open what was closed when this program was started, and let no letter be one that cannot be written.

    Python gives None for a closed stream, and the next file that is opened, such as the journal,
    would get its number.
    """
    for number, (name, mode) in enumerate(zip(STREAMS, "rww", strict=True)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False, errors="backslashreplace"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def settle_streams() -> None:
    """Write what is left, so that Python finds nothing to write when it ends, where a failure would change the exit code."""
    _put(sys.stdout, "")
    _put(sys.stderr, "")


def write(text: str) -> int:
    """Write to standard output.

    Return 1 when nobody reads there any more, raise Unreachable when it cannot be written.
    """
    error = _put(sys.stdout, text + "\n")
    if error is not None and not isinstance(error, BrokenPipeError):
        raise Unreachable(
            f"the answer cannot be written to standard output: {error.strerror}"
        ) from error
    return 0 if error is None else 1


def say(line: str) -> None:
    """Write a line to standard error.

    A run that is under way does not end because nobody reads along any more.
    """
    _put(sys.stderr, line + "\n")


def _put(stream: TextIO, text: str) -> OSError | None:
    """Write to a stream at once.

    Where that cannot be done, return why and let everything that follows go nowhere.
    """
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        _give_up(stream)
        return error
    return None


def _give_up(stream: TextIO) -> None:
    """Lead a stream nowhere, with what is left in it: Python writes that once more when it ends."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def log_line(asked: argparse.Namespace) -> Callable[[str], None]:
    """Return what writes log lines to standard error: as they are, or as JSON objects with their time for who collects logs."""
    if asked.output != "json":
        return say
    import structlog  # noqa: PLC0415 - who reads along pays nothing for it

    lines = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
    )

    def tell(line: str) -> None:
        try:
            lines.msg(line)
        except OSError:
            _give_up(sys.stderr)

    return tell


def ask(question: str) -> str:
    """Return what a person answers, nothing where a terminal went away.

    Raise KeyboardInterrupt with what became of it.
    """
    # While an event loop runs, its own handler would note Ctrl-C and go on reading.
    noting = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _put(sys.stderr, question)
        return sys.stdin.readline().strip()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(NOTHING_BEGUN) from None
    except OSError:
        return ""
    finally:
        signal.signal(signal.SIGINT, noting)


def approver(asked: argparse.Namespace) -> Callable[[PlanDocument], bool]:
    """Return what shows a plan and asks whether to apply it.

    Raise NotApproved where nobody can be asked.
    """

    def approve(document: PlanDocument) -> bool:
        from reconciler.render import text  # noqa: PLC0415 - only who acts pays for it

        say(text.plan_text(document.model_dump(mode="json"), look_of(sys.stderr)))
        if asked.yes:
            return True
        if not sys.stdin.isatty():
            without = f"`reconciler {asked.verb} --yes` applies without asking"
            raise NotApproved(
                f"nothing was done: there is no terminal to ask for confirmation; {without}"
            )
        return ask("Apply this? [y/N] ").lower() in {"y", "yes"}

    return approve


def confirm(asked: argparse.Namespace) -> Callable[[str], bool]:
    """Return what asks a person a question, and whether they say yes.

    Raise NotApproved where nobody can be asked.
    """

    def agree(question: str) -> bool:
        if asked.yes:
            return True
        if not sys.stdin.isatty():
            raise NotApproved(
                "nothing was done: there is no terminal to ask for confirmation; `--yes` does"
                " not ask"
            )
        return ask(question).lower() in {"y", "yes"}

    return agree


def rendered(asked: argparse.Namespace, answer: Value, indent: int | None = 2) -> str:
    """Return a document as it was asked for: as JSON, or as the text of its verb."""
    document = answer.model_dump(mode="json")
    if asked.output == "json":
        return json.dumps(document, indent=indent, ensure_ascii=False)
    from reconciler.render import onboarding_text, text  # noqa: PLC0415 - JSON does not pay for it

    shown: Mapping[str, Callable[[dict[str, Any], Look], str]] = {
        "plan": text.plan_text,
        "status": text.status_text,
        "history": text.history_text,
        "validate": text.valid_text,
        "logs": text.logs_text,
        "explain": text.explain_text,
        "watch": text.ended_text,
        "init": onboarding_text.init_text,
        "doctor": onboarding_text.doctor_text,
    }
    reader = (
        text.verdict_text
        if getattr(asked, "try_power", False)
        else shown.get(asked.verb, text.verdict_text)
    )
    return reader(document, look_of(sys.stdout))


def look_of(stream: TextIO) -> Look:
    """Return how wide and colourful a stream may be: on a terminal as it is, elsewhere everything plain."""
    from reconciler.render.terminal_style import (  # noqa: PLC0415 - JSON does not pay for it
        PLAIN,
        Look,
    )

    if not stream.isatty():
        return PLAIN
    return Look(width=shutil.get_terminal_size().columns, colour=not os.environ.get("NO_COLOR"))
