"""Dispatch: which verb is called with what of a command line.

Each verb is loaded when it is asked for, and alone.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json
import os
import sys
from functools import partial
from signal import Signals
from typing import TYPE_CHECKING

from reconciler.cli.loading import loading
from reconciler.cli.terminal import approver, ask, confirm, log_line, rendered, say, write
from reconciler.errors import Misused
from reconciler.verbs.result import INTERRUPTED, OK, Outcome

if TYPE_CHECKING:
    import argparse

    from reconciler.app import App
    from reconciler.model.names import Value
    from reconciler.verbs.context import Caller

CLEAR = "\x1b[H\x1b[2J"
ACTS = {"apply", "use", "retry", "rollback", "hold", "resume", "watch", "init"}


def run(asked: argparse.Namespace) -> int:
    """Do what was asked, print its answer and return its exit code; raise ReconcilerError."""
    if asked.verb == "validate" and asked.schema is not None:
        write(_schema(asked.schema))
        return 0
    if asked.verb == "demo":
        from reconciler.cli import demo

        return demo.run(say)
    app = _loaded(asked)
    if getattr(asked, "follow", False):
        return _follow(asked, app)
    acts = asked.verb in ACTS or getattr(asked, "try_power", False)
    outcome = app.run(_act if acts else _look, asked, app)
    write(rendered(asked, outcome.document))
    return outcome.exit_code


def _loaded(asked: argparse.Namespace) -> App:
    with loading():
        from reconciler.app import build
        from reconciler.settings import settings

        return build(
            settings(
                os.environ, asked.directory if asked.verb == "init" else asked.state, asked.data
            )
        )


async def _look(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    match asked.verb:
        case "plan":
            from reconciler.verbs import plan

            outcome = await plan.run(app, detailed=asked.detailed_exitcode)
            if asked.save is not None:
                app.plans.write(asked.save, outcome.document.model_dump(mode="json"))
            return outcome
        case "status":
            from reconciler.verbs import status

            return await status.run(app, exit_code=asked.exit_code)
        case "history":
            from reconciler.verbs import history

            return await history.run(app, asked.run)
        case "explain":
            from reconciler.schemas import real
            from reconciler.verbs import explain

            return await explain.run(app, app.source, real(), asked.subject)
        case "logs":
            from reconciler.verbs import logs

            return await logs.run(app, asked.model, asked.lines)
        case "doctor":
            from reconciler.verbs import doctor

            return await doctor.run(app, asked.host)
        case _:
            from reconciler.verbs import validate

            return await validate.run(app.source)


def _follow(asked: argparse.Namespace, app: App) -> int:
    from reconciler.verbs import logs, status

    redraws = asked.verb == "status" and asked.output == "text" and sys.stdout.isatty()

    def show(document: Value) -> bool:
        return write(f"{CLEAR if redraws else ''}{rendered(asked, document, indent=None)}") == 0

    try:
        if asked.verb == "logs":
            app.run(logs.follow, app, asked.model, asked.lines, show)
        else:
            app.run(status.follow, app, show, say)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _schema(name: str) -> str:
    from reconciler.schemas import real

    schemas = real()
    if name not in schemas:
        raise Misused(
            f"found {name or 'nothing'}, expected the name of a schema: {', '.join(schemas)}"
        )
    return json.dumps(schemas[name], indent=2, ensure_ascii=False)


async def _act(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    match asked.verb:
        case "apply":
            return await _apply(asked, app)
        case "watch":
            return await _watch(asked, app)
        case "doctor":
            from reconciler.verbs import try_power

            return await try_power.run(app, asked.host, confirm(asked), say)
        case "init":
            from reconciler.verbs import init

            return await init.run(
                app, ask if sys.stdin.isatty() and not asked.yes else None, asked.host
            )
        case "use":
            from reconciler.verbs import use

            message = f"active: {asked.model}" if asked.commit else ""
            return await use.run(
                app, app.source.propose(asked.model, asked.host), message, _caller(asked)
            )
        case _:
            return await _steer(asked, app)


async def _watch(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.cli import signals
    from reconciler.render.documents import WatchDocument
    from reconciler.verbs import watch

    log, ended = log_line(asked), list[Signals]()

    def tell(line: str) -> None:
        log(line)
        app.supervisor.status(line)

    await watch.run(app, tell, partial(signals.steering, say=tell, ended=ended))
    return Outcome(
        WatchDocument(ended=ended[0].name), INTERRUPTED if ended[0] == Signals.SIGINT else OK
    )


def _caller(asked: argparse.Namespace) -> Caller:
    """Return the person at the terminal."""
    from reconciler.cli import signals
    from reconciler.verbs.context import Caller

    return Caller(approver(asked), say, partial(signals.ending, say=say))


async def _apply(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import apply

    request = apply.ApplyRequest(
        saved=None if asked.plan is None else app.plans.read(asked.plan),
        timeout=asked.timeout,
        prune=asked.prune,
        take_over=asked.take_over,
        approved=asked.yes,
    )
    return await apply.run(app, request, _caller(asked))


async def _steer(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import hold, retry, rollback

    caller = _caller(asked)
    match asked.verb:
        case "retry":
            return await retry.run(app, asked.host, caller, approved=asked.yes)
        case "hold":
            words = hold.HoldWords(
                asked.reason, asked.until, release=asked.release, now=asked.now, approved=asked.yes
            )
            return await hold.hold(app, asked.host, words, caller)
        case "resume":
            return await hold.resume(app, asked.host, caller, approved=asked.yes)
        case _:
            return await rollback.run(app, asked.run, asked.host, caller, approved=asked.yes)
