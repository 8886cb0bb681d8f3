"""One face for all verbs."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from reconciler import __version__
from reconciler.cli.arguments import parse
from reconciler.errors import Misused, NotApproved, ReconcilerError, Unreachable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from reconciler.app import App
    from reconciler.verbs.outcome import Outcome

INTERRUPTED = 130
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
        return _run(asked)
    except ReconcilerError as error:
        _say(f"reconciler: {error.reason}: {error.message}")
        return error.exit_code
    except KeyboardInterrupt:
        _say("reconciler: left at once; what was begun stands in the journal, the next command looks again")
        return INTERRUPTED
    except BaseExceptionGroup as group:
        return _grouped(group)


def _grouped(group: BaseExceptionGroup[BaseException]) -> int:
    """Say what several tasks said, once each."""
    known, rest = group.split(ReconcilerError)
    if rest is not None or known is None:
        raise group
    errors = _leaves(known)
    for error in errors:
        _say(f"reconciler: {error.reason}: {error.message}")
    return max(error.exit_code for error in errors)


def _leaves(group: BaseExceptionGroup[ReconcilerError]) -> list[ReconcilerError]:
    found: list[ReconcilerError] = []
    for one in group.exceptions:
        found += _leaves(one) if isinstance(one, BaseExceptionGroup) else [one]
    return found


def _run(asked: argparse.Namespace) -> int:
    gc.set_threshold(OBJECTS_PER_COLLECTION)
    from reconciler.app import build  # noqa: PLC0415 - --version and usage errors must not pay for it
    from reconciler.render import text  # noqa: PLC0415 - as above
    from reconciler.settings import settings  # noqa: PLC0415 - as above

    if asked.verb == "demo":
        from reconciler.verbs import demo  # noqa: PLC0415 - as above

        return demo.run(_say)
    state = asked.directory if asked.verb == "init" else asked.state
    app = build(settings(os.environ, state, asked.data))
    outcome: Outcome
    shown: Callable[[dict[str, Any]], str] = _plain
    match asked.verb:
        case "plan":
            from reconciler.verbs import plan  # noqa: PLC0415 - each verb pays for itself only

            outcome, shown = plan.run(app, detailed=asked.detailed_exitcode), text.plan_text
            if asked.save is not None:
                app.plans.write(asked.save, outcome.document)
        case "status":
            from reconciler.verbs import status  # noqa: PLC0415 - as above

            outcome, shown = status.run(app, exit_code=asked.exit_code), text.status_text
        case "history":
            from reconciler.verbs import history  # noqa: PLC0415 - as above

            outcome, shown = history.run(app.journal, asked.run), text.history_text
        case "init":
            from reconciler.render import beginning  # noqa: PLC0415 - as above
            from reconciler.verbs import init  # noqa: PLC0415 - as above

            asking = _ask if sys.stdin.isatty() and not asked.yes else None
            outcome, shown = init.run(app, asking), beginning.init_text
        case "doctor":
            from reconciler.render import beginning  # noqa: PLC0415 - as above
            from reconciler.verbs import doctor  # noqa: PLC0415 - as above

            outcome, shown = doctor.run(app, asked.host), beginning.doctor_text
        case "validate":
            from reconciler.verbs import validate  # noqa: PLC0415 - as above

            outcome = validate.run(app.source)
        case "watch":
            from reconciler.verbs import watch  # noqa: PLC0415 - as above

            outcome, shown = watch.run(app, _say), text.ended_text
        case _:
            outcome, shown = _act(asked, app), text.verdict_text
    _print(asked, outcome, shown)
    return outcome.exit_code


def _act(asked: argparse.Namespace, app: App) -> Outcome:
    from reconciler.verbs import apply, hold, retry, rollback  # noqa: PLC0415 - each verb pays for itself only

    approve = _approver(asked)
    match asked.verb:
        case "apply":
            wishes = apply.Wishes(
                saved=None if asked.plan is None else app.plans.read(asked.plan),
                timeout=asked.timeout,
                prune=asked.prune,
                take_over=asked.take_over,
                approved=asked.yes,
            )
            return apply.run(app, wishes, approve, _say)
        case "use":
            from reconciler.verbs import use  # noqa: PLC0415 - as above

            message = f"active: {asked.model}" if asked.commit else ""
            return use.run(app, app.source.propose(asked.model, asked.host), message, approve, _say)
        case "retry":
            return retry.run(app, asked.host, approve, _say, approved=asked.yes)
        case "hold":
            words = hold.HoldWords(asked.reason, asked.until, release=asked.release, now=asked.now, approved=asked.yes)
            return hold.hold(app, asked.host, words, approve, _say)
        case "resume":
            return hold.resume(app, asked.host, approve, _say, approved=asked.yes)
        case _:
            return rollback.run(app, asked.run, asked.host, approve, _say, approved=asked.yes)


def _ask(question: str) -> str:
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def _approver(asked: argparse.Namespace) -> Callable[[dict[str, Any]], bool]:
    def approve(document: dict[str, Any]) -> bool:
        from reconciler.render import text  # noqa: PLC0415 - as above

        _say(text.plan_text(document))
        if asked.yes:
            return True
        if not sys.stdin.isatty():
            without = f"`reconciler {asked.verb} --yes` applies without asking"
            raise NotApproved(f"nothing was done: there is no terminal to ask for approval; {without}")
        sys.stderr.write("Apply this? [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    return approve


def _print(asked: argparse.Namespace, outcome: Outcome, shown: Callable[[dict[str, Any]], str]) -> None:
    as_json = json.dumps(outcome.document, indent=2, ensure_ascii=False)
    try:
        sys.stdout.write((as_json if asked.output == "json" else shown(outcome.document)) + "\n")
        sys.stdout.flush()
    except OSError as error:
        # Python writes what is left once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise Unreachable(f"the answer cannot be written to standard output: {error.strerror}") from error


def _plain(document: dict[str, Any]) -> str:
    return f"valid: {', '.join(document['hosts']) or 'nothing managed'} ({document['provenance']})"


def _say(line: str) -> None:
    # A run that is under way does not end because nobody reads along any more.
    with contextlib.suppress(OSError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
