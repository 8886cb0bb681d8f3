"""What may be said on the command line."""

from __future__ import annotations

import argparse
import difflib
import math
import os
from typing import TYPE_CHECKING, NoReturn

from reconciler.cli.terminal import write
from reconciler.errors import Misused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from _typeshed import SupportsWrite


NAMES_OF_FILES = {"state", "data", "directory", "plan", "save"}
ELSEWHERE = {
    **dict.fromkeys(("ls", "ps", "list", "models", "show", "get", "top"), "status"),
    **dict.fromkeys(("start", "switch", "run", "load", "serve"), "use MODEL"),
    **dict.fromkeys(("stop", "kill", "down", "unload", "pause"), "hold --release"),
    "help": "--help",
    "version": "--version",
    "diff": "plan",
    "up": "apply",
    "check": "doctor",
    "undo": "rollback",
}
"""What other programs call things."""

MOST_LINES = 1000
"""As many lines of a log a host gives at a time."""


class Parser(argparse.ArgumentParser):
    """Parse, and raise Misused instead of leaving."""

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Write what can be said to standard output, as every answer is."""
        _ = file
        write(self.format_help().rstrip())

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong, with the way to help."""
        raise Misused(f"{message}; `{self.prog} --help` shows what can be said")


def verb_of(words: Sequence[str]) -> str | None:
    """Return what is asked for, known or not."""
    return next((word for word in words if not word.startswith("-")), None)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the parsed command line; raise Misused."""
    parser, verbs = parsers()
    verb = verb_of(words)
    if verb is not None and verb not in verbs:
        raise Misused(f"unknown command: {verb}{_nearest(verb, verbs)}; `reconciler --help` lists all")
    asked, unknown = parser.parse_known_args(words)
    if unknown:
        program = " ".join(filter(None, ("reconciler", asked.verb)))
        raise Misused(f"{' '.join(unknown)} is not known here; `{program} --help` shows what is")
    _refuse_no_text(asked)
    return asked


def _refuse_no_text(asked: argparse.Namespace) -> None:
    """Raise Misused for bytes that are no text where text is needed: only files may be called anything."""
    for name, word in vars(asked).items():
        try:
            str(word).encode()
        except UnicodeEncodeError as error:
            if name not in NAMES_OF_FILES:
                shown = os.fsencode(str(word)).decode(errors="backslashreplace")
                raise Misused(
                    f"found {shown}, expected text in UTF-8; `reconciler {asked.verb} --help` shows what is known"
                ) from error


def parsers() -> tuple[Parser, Mapping[str, Parser]]:
    """Return what reads a command line, and the part of it that reads each verb's words."""
    parser = Parser(prog="reconciler", description="Keep a local-LLM GPU stack the way a file in git says it should be.")
    parser.add_argument("--version", action="store_true", help="print the version")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=Parser)
    shared = _shared()

    def verb(name: str, what: str) -> Parser:
        return verbs.add_parser(name, help=what, description=what, parents=[shared])

    verb("demo", "switch a real engine between two models and back")
    init = verb("init", "write both files for what a machine serves")
    init.add_argument("directory", metavar="DIR", help="a folder that holds neither file yet; it becomes a git repository")
    init.add_argument("--host", metavar="[USER@]ADDRESS", help="look at another machine, to which ssh needs no password")
    init.add_argument("--yes", action="store_true", help="do not ask; what cannot be seen is left for you to write")
    doctor = verb("doctor", "look for everything that is wrong, with its fix; changes nothing")
    doctor.add_argument("host", nargs="?", help="one host only")
    doctor.add_argument("--try-power", action="store_true", help="send the host down and wake it again once, while you look on")
    doctor.add_argument("--yes", action="store_true", help="do not ask before that")
    validate = verb("validate", "check both files")
    validate.add_argument("--schema", metavar="NAME", nargs="?", const="", help="print the JSON Schema of a file or an answer")
    use = verb("use", "switch to a model: edit desired.yaml, show what follows, and apply it")
    use.add_argument("model", metavar="MODEL", help="the model that is to be active on its host")
    use.add_argument("--host", help="only if it is a model of this host")
    use.add_argument("--commit", action="store_true", help="commit desired.yaml with git, and nothing else")
    use.add_argument("--yes", action="store_true", help="do not ask")
    _plan(verb("plan", "show what would be done; touches nothing"))
    _apply(verb("apply", "do it, and stay until it is judged healthy"))
    status = verb("status", "what is, against what is wanted")
    either = status.add_mutually_exclusive_group()
    either.add_argument("-f", "--follow", action="store_true", help="show it again whenever it changes, until Ctrl-C")
    either.add_argument("--exit-code", action="store_true", help="exit 1 when a host is not ready")
    explain = verb("explain", "all that is known of a model, host, run, error, reason, word, step or key")
    explain.add_argument(
        "subject", metavar="SUBJECT", help="its name or number, a word such as Stalled, or a key such as models.NAME.port"
    )
    logs = verb("logs", "what the engine of a model wrote")
    logs.add_argument("model", metavar="MODEL", help="the model")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C, also when the model is started anew")
    logs.add_argument("-n", "--lines", type=_lines, default=20, metavar="LINES", help="how many lines, up to 1000 (20)")
    history = verb("history", "the runs and how they ended")
    history.add_argument("run", nargs="?", type=_run_number, help="one run only")
    rollback = verb("rollback", "go back to an earlier state")
    rollback.add_argument("run", nargs="?", type=_run_number, help="the run to go back to; the one before by default")
    rollback.add_argument("--host", help="the host, when there are several")
    rollback.add_argument("--yes", action="store_true", help="do not ask")
    _one_host(verb("retry", "forget a failure and try again"))
    verb("watch", "do it by itself whenever the file changes")
    _hold(_one_host(verb("hold", "keep hands off a host")))
    _one_host(verb("resume", "end a hold"))
    return parser, verbs.choices


def _nearest(word: str, words: Iterable[str]) -> str:
    near = [ELSEWHERE[word]] if word in ELSEWHERE else difflib.get_close_matches(word, sorted(words), n=1)
    return f', did you mean "{near[0]}"?' if near else ""


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"found {text}, expected a number of seconds, such as 120")
    return seconds


def _run_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"found {text}, expected the number of a run; `reconciler history` shows them")
    return int(text)


def _lines(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MOST_LINES:
        raise argparse.ArgumentTypeError(f"found {text}, expected a number of lines from 1 to {MOST_LINES}")
    return int(text)


def _shared() -> Parser:
    shared = Parser(add_help=False)
    shared.add_argument("-o", "--output", choices=("text", "json"), default="text", help="how to print (text)")
    shared.add_argument("--state", metavar="DIR", help="where desired.yaml and inventory.yaml are (state)")
    shared.add_argument("--data", metavar="DIR", help="where journal and lock are (XDG state directory)")
    return shared


def _one_host(parser: Parser) -> Parser:
    parser.add_argument("host", nargs="?", help="one host only")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def _hold(parser: Parser) -> None:
    parser.add_argument("--reason", default="", help="why, for whoever wonders")
    parser.add_argument("--until", metavar="T", help='when it ends by itself: "2h", "18:30" or "2026-12-24 18:30"')
    parser.add_argument("--release", action="store_true", help="save conversations and stop what runs there first")
    parser.add_argument("--now", action="store_true", help="end a wait that is under way")


def _plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit 2 when there is something to do")
    parser.add_argument("--save", metavar="FILE", help="write the plan to a file that apply takes")


def _apply(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", nargs="?", metavar="PLAN", help="a saved plan: applied only if it still means the same")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--timeout", type=_seconds, metavar="S", help="end waits after so many seconds")
    parser.add_argument(
        "--prune", action="store_true", help="also stop units of ours that are in no inventory and in nobody's way"
    )
    parser.add_argument("--take-over", action="store_true", help="replace another controller's claim on a host")
