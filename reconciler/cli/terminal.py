"""The terminal: what is written to standard output and standard error, and what is asked there."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any, TextIO

from reconciler.errors import NotApproved, Unreachable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from reconciler.model.names import Value
    from reconciler.render.plan_document import PlanDocument
    from reconciler.render.terminal_style import Look


NOTHING_BEGUN = "quit at the question; nothing was started, and nothing was changed"
CLEAR = "\x1b[H\x1b[2J"
_ORDERS = re.compile(
    r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)
"""What a terminal obeys in place of showing it, but for colours."""

STREAMS = ("stdin", "stdout", "stderr")


def open_streams() -> None:
    """Open the streams that are closed, and make every letter one that can be written."""
    for number, (name, mode) in enumerate(zip(STREAMS, "rww", strict=True)):
        _keep_number(number)
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False, errors="backslashreplace"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _keep_number(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        # The next file that is opened, such as the journal, would get the number of the closed
        # stream, and what is meant for the stream would be written into it.
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def settle_streams() -> None:
    """Write what is left."""
    # Python would write it when it ends, where a failure changes the exit code.
    _put(sys.stdout, "")
    _put(sys.stderr, "")


def write(text: str, *, anew: bool = False) -> int:
    """Write to standard output, `anew` on an empty screen; 1 when its reader is gone.

    Raise Unreachable when it cannot be written.
    """
    error = _put(sys.stdout, f"{CLEAR if anew else ''}{shown(text)}\n")
    if error is None:
        return 0
    # `reconciler logs | head` is no failure of ours.
    if isinstance(error, BrokenPipeError):
        return 1
    raise Unreachable(
        f"the answer cannot be written to standard output: {error.strerror}"
    ) from error


def say(line: str) -> None:
    """Write a line to standard error, if that can be written."""
    # A run that is under way does not end because its terminal is gone.
    _put(sys.stderr, shown(line) + "\n")


def shown(text: str) -> str:
    """Write so that it is shown what others would have a terminal do: engines, and file names."""
    # As JSON has it, so that a document stays one.
    return _ORDERS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _put(stream: TextIO, text: str) -> OSError | None:
    """Write to a stream at once; if that fails, return why and discard everything that follows."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        _give_up(stream)
        return error
    return None


def _give_up(stream: TextIO) -> None:
    # With what is left in it, which Python writes once more when it ends.
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def log_line(asked: argparse.Namespace) -> Callable[[str], None]:
    """Make what writes log lines to standard error: as they are, or as JSON with their time."""
    if asked.output != "json":
        return say
    write_json = _json_log()

    def tell(line: str) -> None:
        try:
            write_json(line)
        except OSError:
            _give_up(sys.stderr)

    return tell


def access_log() -> Callable[[Mapping[str, object]], None]:
    """Make what writes a line about each request to standard error."""
    write_json = _json_log()

    def tell(line: Mapping[str, object]) -> None:
        try:
            write_json("request", **line)
        except OSError:
            _give_up(sys.stderr)

    return tell


def _json_log() -> Callable[..., object]:
    import structlog  # noqa: PLC0415 - only a log of JSON pays for it

    stamped = structlog.processors.TimeStamper(fmt="iso", utc=True)
    rendered = structlog.processors.JSONRenderer()
    log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr), processors=[stamped, rendered])
    written: Callable[..., object] = log.msg
    return written


def ask(question: str) -> str:
    """Read what a person answers, "" when the terminal is gone.

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
    """Make what shows a plan and asks whether to apply it.

    It raises NotApproved where there is no terminal to ask at.
    """

    def approve(document: PlanDocument) -> bool:
        from reconciler.render import text  # noqa: PLC0415 - only what acts pays for it

        # Shown also where it is not asked about: a log says what was approved beforehand.
        say(text.plan_text(document.model_dump(mode="json"), look_of(sys.stderr)))
        return _agreed(asked, "Apply this? [y/N] ", "`--yes` applies without asking")

    return approve


def confirm(asked: argparse.Namespace) -> Callable[[str], bool]:
    """Make what asks a person a question that they answer with yes or no.

    It raises NotApproved where there is no terminal to ask at.
    """
    return lambda question: _agreed(asked, question, "`--yes` does not ask")


def _agreed(asked: argparse.Namespace, question: str, otherwise: str) -> bool:
    if asked.yes:
        return True
    if not sys.stdin.isatty():
        raise NotApproved(
            f"nothing was done: there is no terminal to ask for confirmation; {otherwise}"
        )
    return ask(question).lower() in {"y", "yes"}


def rendered(asked: argparse.Namespace, answer: Value, indent: int | None = 2) -> str:
    """Render a document as it was asked for: as JSON, or as the text of its verb."""
    document = answer.model_dump(mode="json")
    if asked.output == "json":
        return json.dumps(document, indent=indent, ensure_ascii=False)
    verb = "try_power" if getattr(asked, "try_power", False) else asked.verb
    return _text_of(verb)(document, look_of(sys.stdout))


def _text_of(verb: str) -> Callable[[dict[str, Any], Look], str]:
    if verb in {"init", "doctor"}:
        from reconciler.render import onboarding_text  # noqa: PLC0415 - for these two alone

        return onboarding_text.init_text if verb == "init" else onboarding_text.doctor_text
    if verb == "import":
        from reconciler.render.import_text import import_text  # noqa: PLC0415 - for this one alone

        return import_text
    if verb == "key":
        from reconciler.render.keys_text import keys_text  # noqa: PLC0415 - for this one alone

        return keys_text
    from reconciler.render import text  # noqa: PLC0415 - JSON does not pay for it

    shown: Mapping[str, Callable[[dict[str, Any], Look], str]] = {
        "plan": text.plan_text,
        "status": text.status_text,
        "history": text.history_text,
        "validate": text.valid_text,
        "logs": text.logs_text,
        "explain": text.explain_text,
        "watch": text.ended_text,
        "serve": text.ended_text,
    }
    return shown.get(verb, text.verdict_text)


def look_of(stream: TextIO) -> Look:
    """Tell how wide and colourful a stream may be: anywhere but on a terminal all is plain."""
    from reconciler.render.terminal_style import (  # noqa: PLC0415 - JSON does not pay for it
        PLAIN,
        Look,
    )

    if not stream.isatty():
        return PLAIN
    return Look(width=shutil.get_terminal_size().columns, colour=not os.environ.get("NO_COLOR"))
