"""Verb words: what may be said of each verb on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.cli import key_words
from reconciler.cli.word_types import duration, lines, run_number, runs, seconds

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Mapping

SOURCES = ("docker", "compose", "systemd", "gguf-dir")
"""What `import` reads."""

OF_FILES = {"compose", "gguf-dir"}
"""Those of them that are read from a file or a folder."""


def _nothing(parser: ArgumentParser) -> None:
    """Add nothing: the verb takes the shared options alone."""
    _ = parser


def _init(parser: ArgumentParser) -> None:
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


def _import(parser: ArgumentParser) -> None:
    # Written out: argparse knows no word that may be left out before one that may not.
    parser.usage = (
        "%(prog)s [-h] [-o {text,json}] [--state DIR] [--data DIR] [--host [USER@]ADDRESS]"
        " SOURCE [FILE] DIR\n\n"
        "examples: %(prog)s docker ~/stack\n"
        "          %(prog)s compose compose.yaml ~/stack"
    )
    parser.add_argument("source", metavar="SOURCE", choices=SOURCES, help=", ".join(SOURCES))
    parser.add_argument(
        "words",
        metavar="[FILE] DIR",
        nargs="+",
        help="the compose file or the folder of GGUF files, and the directory to write to",
    )
    parser.add_argument(
        "--host",
        metavar="[USER@]ADDRESS",
        help="look at another machine, which ssh reaches without a password",
    )


def _doctor(parser: ArgumentParser) -> None:
    parser.add_argument("host", nargs="?", help="one host only")
    parser.add_argument(
        "--try-power",
        action="store_true",
        help="shut the host down and wake it again, while you watch",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation first")


def _validate(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--schema",
        metavar="NAME",
        nargs="?",
        const="",
        help="print the JSON Schema of a file, or of what a verb prints",
    )


def _use(parser: ArgumentParser) -> None:
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


def _plan(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--detailed-exitcode", action="store_true", help="exit with 2 if there is something to do"
    )
    parser.add_argument("--save", metavar="FILE", help="save the plan to a file, for `apply FILE`")


def _apply(parser: ArgumentParser) -> None:
    parser.add_argument(
        "plan",
        nargs="?",
        metavar="PLAN",
        help="a saved plan; refused unless it would still do the same",
    )
    _yes(parser)
    parser.add_argument(
        "--timeout", type=seconds, metavar="S", help="give up waiting after S seconds"
    )
    parser.add_argument(
        "--prune",
        action="store_true",
        help="also stop models that reconciler started and that the inventory no longer has",
    )
    parser.add_argument(
        "--take-over", action="store_true", help="replace another controller's claim on a host"
    )


def _status(parser: ArgumentParser) -> None:
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "-f", "--follow", action="store_true", help="show it again at every change, until Ctrl-C"
    )
    either.add_argument(
        "--exit-code", action="store_true", help="exit with 1 if a host is not ready"
    )


def _explain(parser: ArgumentParser) -> None:
    parser.add_argument(
        "subject",
        metavar="SUBJECT",
        help="its name or number, a word such as Stalled, or a key such as models.NAME.port",
    )


def _logs(parser: ArgumentParser) -> None:
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
        type=lines,
        default=20,
        metavar="LINES",
        help="how many lines, up to 1000 (default: 20)",
    )


def _history(parser: ArgumentParser) -> None:
    either = parser.add_mutually_exclusive_group()
    either.add_argument("run", nargs="?", type=run_number, help="one run only")
    either.add_argument(
        "-n",
        "--newest",
        type=runs,
        metavar="RUNS",
        help="how many of the newest runs (default: 20, and all with `-o json`)",
    )


def _restart(parser: ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the model, which keeps its conversations")
    _yes(parser)


def _rollback(parser: ArgumentParser) -> None:
    parser.add_argument(
        "run", nargs="?", type=run_number, help="the run to go back to (default: the previous one)"
    )
    parser.add_argument("--host", help="the host, if there are several")
    _yes(parser)


def _one_host(parser: ArgumentParser) -> None:
    parser.add_argument("host", nargs="?", help="one host only")
    _yes(parser)


def _serve(parser: ArgumentParser) -> None:
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
        type=duration,
        default=30.0,
        metavar="TIME",
        help="how long requests may take to end when it is stopped (default: 30s)",
    )
    parser.add_argument(
        "--access-log",
        action="store_true",
        help="write each request that is over to stderr, as a line of JSON",
    )


def _hold(parser: ArgumentParser) -> None:
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


def _yes(parser: ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


VERBS: Mapping[str, tuple[str, Callable[[ArgumentParser], None]]] = {
    "demo": ("switch a real engine between two models and back", _nothing),
    "init": ("write both files from what is found on a machine", _init),
    "import": ("write both files from what a host runs already, and say what is left out", _import),
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
