"""Arguments: what may be said on the command line."""

from __future__ import annotations

import argparse
import difflib
import os
from typing import TYPE_CHECKING, NoReturn

from reconciler.cli.terminal import write
from reconciler.cli.verb_words import VERBS
from reconciler.errors import Misused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from _typeshed import SupportsWrite


NAMES_OF_FILES = {"state", "data", "directory", "plan", "save", "words"}
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


class Parser(argparse.ArgumentParser):
    """A parser that raises Misused instead of ending the program."""

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Write what can be said to standard output, as every answer is."""
        _ = file
        write(self.format_help().rstrip())

    def _check_value(self, action: argparse.Action, value: str) -> None:
        """Refuse what is none of the choices, with the nearest of them."""
        if action.choices is not None and value not in action.choices:
            expected = f"expected {', '.join(action.choices)}{_nearest(value, action.choices)}"
            raise argparse.ArgumentError(action, f"found {value}, {expected}")

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
