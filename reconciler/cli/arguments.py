"""Arguments: what may be said on the command line."""

from __future__ import annotations

import argparse
import difflib
import math
import os
from typing import TYPE_CHECKING, NoReturn

from reconciler.cli import key_words
from reconciler.cli.terminal import write
from reconciler.errors import Misused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from _typeshed import SupportsWrite


NAMES_OF_FILES = {"state", "data", "directory", "plan", "save"}
ELSEWHERE = {
    **dict.fromkeys(("ls", "ps", "list", "models", "show", "get", "top"), "status"),
    **dict.fromkeys(("start", "switch", "run", "load"), "use MODEL"),
    **dict.fromkeys(("stop", "kill", "down", "unload", "pause"), "hold --release"),
    "help": "--help",
    "version": "--version",
    "diff": "plan",
    "up": "apply",
    "check": "doctor",
    "undo": "rollback",
}
"""What other programs call things."""

DESCRIPTION = (
    "Make your GPU machines match a file in git: which model runs where, and which are switched on."
)

MOST_LINES = 1000
"""How many lines of a log a host gives at a time."""


class Parser(argparse.ArgumentParser):
    """A parser that raises Misused instead of ending the program."""

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Write what can be said to standard output, as every answer is."""
        _ = file
        write(self.format_help().rstrip())

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong, with the way to help."""
        raise Misused(f"{message}; see `{self.prog} --help`")


def verb_of(words: Sequence[str]) -> str | None:
    """Find the verb, known or not; None without one."""
    return next((word for word in words if not word.startswith("-")), None)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read a command line; raise Misused."""
    parser, verbs = parsers()
    _refuse_options_first(words, verbs)
    _refuse_unknown_verb(verb_of(words), verbs)
    asked, unknown = parser.parse_known_args(words)
    if unknown:
        program = " ".join(filter(None, ("reconciler", asked.verb)))
        raise Misused(f"unexpected: {' '.join(unknown)}; see `{program} --help`")
    for name, word in vars(asked).items():
        # A file may be called anything; every other word is compared, recorded or printed.
        if name not in NAMES_OF_FILES:
            _refuse_no_text(str(word), asked.verb)
    return asked


def _refuse_options_first(words: Sequence[str], verbs: Mapping[str, Parser]) -> None:
    verb, meant = verb_of(words), next(filter(verbs.__contains__, words), "")
    if meant and verb != meant and words[0].startswith("--"):
        way = f"`reconciler {meant} {words[0]} {verb}`"
        raise Misused(f"found {words[0]} before the command, expected it after: {way}")


def _refuse_unknown_verb(verb: str | None, verbs: Iterable[str]) -> None:
    # Before argparse does, whose message lists every verb and suggests none.
    if verb is not None and verb not in verbs:
        near = _nearest(verb, verbs)
        raise Misused(f"unknown command: {verb}; `reconciler --help` lists them all{near}")


def _refuse_no_text(word: str, verb: str) -> None:
    """Raise Misused for bytes that are not text."""
    try:
        word.encode()
    except UnicodeEncodeError as error:
        found = f"found {_shown(word)}, expected text in UTF-8"
        raise Misused(f"{found}; see `reconciler {verb} --help`") from error


def _shown(word: str) -> str:
    return os.fsencode(word).decode(errors="backslashreplace")


def parsers() -> tuple[Parser, Mapping[str, Parser]]:
    """Make what reads a command line, and what reads each verb's part of it."""
    parser = Parser(prog="reconciler", description=DESCRIPTION)
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=Parser)
    shared = _shared()
    for name, (what, add) in VERBS.items():
        add(verbs.add_parser(name, help=what, description=what, parents=[shared]))
    return parser, verbs.choices


def _nearest(word: str, words: Iterable[str]) -> str:
    meant = ELSEWHERE.get(word) or _similar(word, words)
    return f'; did you mean "{meant}"?' if meant else ""


def _similar(word: str, words: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(word, sorted(words), n=1)), "")


def _seconds(text: str) -> float:
    seconds = _number(text)
    # This refuses nan as well, which is in no order.
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"found {text}, expected a number of seconds, such as 120")
    return seconds


def _duration(text: str) -> float:
    from reconciler.model.quantity import parse_seconds  # noqa: PLC0415 - one verb needs it

    try:
        return parse_seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"found {text}, expected {error}") from error


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _run_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(
            f"found {text}, expected the number of a run; `reconciler history` shows them"
        )
    return int(text)


def _lines(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MOST_LINES:
        raise argparse.ArgumentTypeError(
            f"found {text}, expected a number of lines from 1 to {MOST_LINES}"
        )
    return int(text)


def _shared() -> Parser:
    shared = Parser(add_help=False)
    shared.add_argument(
        "-o",
        "--output",
        choices=("text", "json"),
        default="text",
        help="output format (default: text)",
    )
    shared.add_argument(
        "--state",
        metavar="DIR",
        help="directory of desired.yaml and inventory.yaml (default: state)",
    )
    shared.add_argument(
        "--data",
        metavar="DIR",
        help="directory of the journal and the lock (default: in the XDG state directory)",
    )
    return shared


def _nothing(parser: Parser) -> None:
    """Add nothing: the verb takes the shared options alone."""
    _ = parser


def _init(parser: Parser) -> None:
    parser.add_argument(
        "directory",
        metavar="DIR",
        help="directory to write to, which holds neither file yet; becomes a git repository",
    )
    parser.add_argument(
        "--host",
        metavar="[USER@]ADDRESS",
        help="look at another machine, which ssh reaches without a password",
    )
    parser.add_argument(
        "--yes",
        action="store_true",
        help="do not ask; leave what cannot be seen for you to fill in",
    )


def _doctor(parser: Parser) -> None:
    parser.add_argument("host", nargs="?", help="one host only")
    parser.add_argument(
        "--try-power",
        action="store_true",
        help="shut the host down and wake it again, while you watch",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation first")


def _validate(parser: Parser) -> None:
    parser.add_argument(
        "--schema",
        metavar="NAME",
        nargs="?",
        const="",
        help="print the JSON Schema of a file, or of what a verb prints",
    )


def _use(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the model to make active on its host")
    parser.add_argument("--host", help="fail unless the model is one of this host")
    parser.add_argument(
        "--commit", action="store_true", help="commit desired.yaml, and nothing else, with git"
    )
    parser.add_argument(
        "--for",
        dest="duration",
        metavar="D",
        help='for so long only, such as "2h": desired.yaml stays as it is, and counts again then',
    )
    parser.add_argument("--reason", default="", help="with --for: told to whom it keeps waiting")
    _yes(parser)


def _plan(parser: Parser) -> None:
    parser.add_argument(
        "--detailed-exitcode", action="store_true", help="exit with 2 if there is something to do"
    )
    parser.add_argument("--save", metavar="FILE", help="save the plan to a file, for `apply FILE`")


def _apply(parser: Parser) -> None:
    parser.add_argument(
        "plan",
        nargs="?",
        metavar="PLAN",
        help="a saved plan; refused unless it would still do the same",
    )
    _yes(parser)
    parser.add_argument(
        "--timeout", type=_seconds, metavar="S", help="give up waiting after S seconds"
    )
    parser.add_argument(
        "--prune",
        action="store_true",
        help="also stop models that reconciler started and that the inventory no longer has",
    )
    parser.add_argument(
        "--take-over", action="store_true", help="replace another controller's claim on a host"
    )


def _status(parser: Parser) -> None:
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "-f", "--follow", action="store_true", help="show it again at every change, until Ctrl-C"
    )
    either.add_argument(
        "--exit-code", action="store_true", help="exit with 1 if a host is not ready"
    )


def _explain(parser: Parser) -> None:
    parser.add_argument(
        "subject",
        metavar="SUBJECT",
        help="its name or number, a word such as Stalled, or a key such as models.NAME.port",
    )


def _logs(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the model")
    parser.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="keep printing until Ctrl-C, across restarts of the model",
    )
    parser.add_argument(
        "-n",
        "--lines",
        type=_lines,
        default=20,
        metavar="LINES",
        help="how many lines, up to 1000 (default: 20)",
    )


def _history(parser: Parser) -> None:
    parser.add_argument("run", nargs="?", type=_run_number, help="one run only")


def _restart(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the model, which keeps its conversations")
    _yes(parser)


def _rollback(parser: Parser) -> None:
    parser.add_argument(
        "run", nargs="?", type=_run_number, help="the run to go back to (default: the previous one)"
    )
    parser.add_argument("--host", help="the host, if there are several")
    _yes(parser)


def _one_host(parser: Parser) -> None:
    parser.add_argument("host", nargs="?", help="one host only")
    _yes(parser)


def _serve(parser: Parser) -> None:
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help=(
            "address for requests; beyond the loopback it needs keys (default: systemd's socket, or"
            " `gateway: listen` of inventory.yaml)"
        ),
    )
    parser.add_argument(
        "--finish",
        type=_duration,
        default=30.0,
        metavar="TIME",
        help="how long requests may take to end when it is stopped (default: 30s)",
    )
    parser.add_argument(
        "--access-log",
        action="store_true",
        help="write each request that is over to stderr, as a line of JSON",
    )


def _hold(parser: Parser) -> None:
    _one_host(parser)
    parser.add_argument("--reason", default="", help="shown in `status`")
    parser.add_argument(
        "--until",
        metavar="T",
        help='end the hold automatically: "2h", "18:30" or "2026-12-24 18:30"',
    )
    parser.add_argument(
        "--release", action="store_true", help="first save conversations and stop what runs there"
    )
    parser.add_argument("--now", action="store_true", help="cut short a wait that is under way")


def _yes(parser: Parser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


VERBS: Mapping[str, tuple[str, Callable[[Parser], None]]] = {
    "demo": ("switch a real engine between two models and back", _nothing),
    "init": ("write both files from what is found on a machine", _init),
    "doctor": ("list everything that is wrong and how to fix it; changes nothing", _doctor),
    "validate": ("check both files", _validate),
    "use": ("switch to a model: edit desired.yaml, show the plan and apply it", _use),
    "plan": ("show what would be done; changes nothing", _plan),
    "apply": ("apply the plan and wait until the model is healthy", _apply),
    "status": ("show the actual and the desired state", _status),
    "explain": (
        "show everything known about a model, host, run, error, reason, word, step or key",
        _explain,
    ),
    "logs": ("show what the engine of a model wrote", _logs),
    "history": ("list the runs and how they ended", _history),
    "key": ("make, list or remove a key, which lets clients through the gateway", key_words.add),
    "rollback": ("go back to an earlier state", _rollback),
    "retry": ("forget a failure and try again", _one_host),
    "restart": ("stop the engine of a model and start it afresh", _restart),
    "watch": (
        "apply changes by itself, whenever the files change or a model dies",
        _nothing,
    ),
    "serve": ("watch, and take requests for the active models at one address", _serve),
    "hold": ("leave a host alone until `resume`", _hold),
    "resume": ("end a hold", _one_host),
}
"""What each verb is for, in the order of `--help`, and what adds its words."""
