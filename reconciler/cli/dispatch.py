"""Dispatch: which verb is called with what of a command line."""

# ruff: noqa: PLC0415 - each verb is loaded when it is asked for, and alone

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING

from reconciler.cli.loading import loading
from reconciler.cli.terminal import (
    access_log,
    approver,
    ask,
    confirm,
    log_line,
    rendered,
    say,
    write,
)
from reconciler.cli.verb_words import OF_FILES
from reconciler.errors import Misused
from reconciler.verbs.result import INTERRUPTED, OK, Outcome

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from reconciler.app import App
    from reconciler.model.key_scope import KeyScope
    from reconciler.model.names import Value
    from reconciler.verbs.context import Caller
    from reconciler.verbs.result import Show

ACTS = {
    "apply",
    "use",
    "retry",
    "restart",
    "rollback",
    "hold",
    "resume",
    "watch",
    "serve",
    "init",
    "import",
}


def run(asked: argparse.Namespace) -> int:
    """Do what was asked, print its answer, and end with its exit code; raise ReconcilerError."""
    if asked.verb == "validate" and asked.schema is not None:
        write(_schema(asked.schema))
        return 0
    if asked.verb == "demo":
        from reconciler.cli import demo

        return demo.run(say)
    app = _loaded(asked)
    if getattr(asked, "follow", False):
        return _follow(asked, app)
    outcome = app.run(_carried_out, asked, app, serves=asked.verb == "serve")
    write(rendered(asked, outcome.document))
    return outcome.exit_code


def _loaded(asked: argparse.Namespace) -> App:
    with loading():
        from reconciler.app import build
        from reconciler.settings import settings

        return build(settings(os.environ, _state(asked), asked.data))


def _state(asked: argparse.Namespace) -> str | None:
    if asked.verb == "import":
        return str(asked.words[-1])
    state: str | None = asked.directory if asked.verb == "init" else asked.state
    return state


async def _carried_out(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    name = "try_power" if getattr(asked, "try_power", False) else asked.verb
    return await _CALLS[name](asked, app)


def _follow(asked: argparse.Namespace, app: App) -> int:
    from reconciler.verbs import logs, status

    try:
        if asked.verb == "logs":
            app.run(logs.follow, app, asked.model, asked.lines, _shower(asked))
        else:
            app.run(status.follow, app, _shower(asked), say)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _shower(asked: argparse.Namespace) -> Show:
    anew = _redraws(asked)

    def show(document: Value) -> bool:
        return write(rendered(asked, document, indent=None), anew=anew) == 0

    return show


def _redraws(asked: argparse.Namespace) -> bool:
    return asked.verb == "status" and asked.output == "text" and sys.stdout.isatty()


def _schema(name: str) -> str:
    from reconciler.schemas import real

    schemas = real()
    if name not in schemas:
        raise _no_schema(name, schemas)
    return json.dumps(schemas[name], indent=2, ensure_ascii=False)


def _no_schema(name: str, schemas: Iterable[str]) -> Misused:
    names = ", ".join(schemas)
    return Misused(f"found {name or 'nothing'}, expected the name of a schema: {names}")


async def _plan(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import plan

    outcome = await plan.run(app, detailed=asked.detailed_exitcode)
    if asked.save is not None:
        app.plans.write(asked.save, outcome.document.model_dump(mode="json"))
    return outcome


async def _status(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import status

    return await status.run(app, exit_code=asked.exit_code)


async def _history(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import history

    # A program that reads the document counts for itself; a person's terminal ends somewhere.
    most = asked.newest or (None if asked.output == "json" else history.NEWEST)
    return await history.run(app, asked.run, most)


async def _explain(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.schemas import real
    from reconciler.verbs import explain

    return await explain.run(app, app.source, real(), asked.subject)


async def _logs(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import logs

    return await logs.run(app, asked.model, asked.lines)


async def _key(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import key

    if (asked.name is None) is not (asked.action == "list"):
        found, expected = ("no name", "one") if asked.name is None else (asked.name, "no name")
        raise Misused(f"found {found}, expected {expected}; see `reconciler key --help`")
    if asked.action == "list":
        return key.list_(app.keys)
    if asked.action == "remove":
        return key.remove(app.keys, asked.name)
    scopes: list[KeyScope] = asked.scope or ["infer"]
    words = key.KeyWords(
        scopes,
        asked.model or (),
        asked.expires,
        asked.in_flight,
        asked.waiting,
        wake_on_list=asked.wake_on_list,
    )
    note = key.unchecked(app.source, words.models)
    return key.add(app.keys, app.clock, asked.name, words, note)


async def _doctor(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import doctor

    return await doctor.run(app, asked.host)


async def _try_power(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import try_power

    return await try_power.run(app, asked.host, confirm(asked), say)


async def _validate(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import validate

    _ = asked
    return await validate.run(app.source)


async def _init(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import init

    can_ask = sys.stdin.isatty() and not asked.yes
    return await init.run(app, ask if can_ask else None, asked.host)


async def _import(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import imports

    return await imports.run(app, imports.ImportWords(asked.source, _source(asked), asked.host))


def _source(asked: argparse.Namespace) -> str:
    """Find the file or folder that is imported, "" for a source that needs none."""
    *paths, _ = asked.words
    expected = ["FILE"] if asked.source in OF_FILES else []
    if len(paths) != len(expected):
        way = " ".join(("reconciler import", asked.source, *expected, "DIR"))
        found = " ".join(asked.words)
        raise Misused(f"found `{found}` after {asked.source}, expected `{way}`")
    # A folder of another host is that host's, and a file is shown as it was named.
    is_here = asked.host is None and asked.source == "gguf-dir"
    return "".join(str(Path(one).absolute()) if is_here else one for one in paths)


async def _use(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import lend, use

    if asked.duration is not None:
        if asked.commit:
            raise Misused("--for writes no file, so there is nothing to commit; leave out one")
        words = lend.LendWords(asked.model, app.user, asked.duration, asked.reason, asked.host)
        return await lend.run(app, words, _caller(asked))
    if asked.reason:
        raise Misused("--reason is told together with --for; without it the file says what runs")
    proposal = app.source.propose(asked.model, asked.host)
    return await use.run(app, proposal, _commit_message(asked), _caller(asked))


def _commit_message(asked: argparse.Namespace) -> str:
    return f"active: {asked.model}" if asked.commit else ""


async def _watch(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import watch

    return await _until_ended(asked, app, partial(watch.run, app))


async def _serve(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import serve

    tell = access_log() if asked.access_log else None
    front = app.front(asked.listen, asked.finish, tell)
    return await _until_ended(asked, app, partial(serve.run, app, front))


async def _until_ended(
    asked: argparse.Namespace, app: App, keep: Callable[..., Awaitable[None]]
) -> Outcome[Value]:
    """Run what keeps the hosts, until a signal ends it."""
    from reconciler.cli import signals
    from reconciler.render.documents import WatchDocument

    log, ended = log_line(asked), list[Signals]()

    def tell(line: str) -> None:
        log(line)
        app.supervisor.status(line)

    await keep(tell, partial(signals.steering, say=tell, ended=ended))
    # A service manager that stops a watch with SIGTERM must not find a failure.
    code = INTERRUPTED if ended[0] == Signals.SIGINT else OK
    return Outcome(WatchDocument(ended=ended[0].name), code)


def _caller(asked: argparse.Namespace) -> Caller:
    """Stand for the person at the terminal."""
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


async def _retry(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import retry

    return await retry.run(app, asked.host, _caller(asked), approved=asked.yes)


async def _restart(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import restart

    return await restart.run(app, asked.model, _caller(asked))


async def _rollback(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import rollback

    return await rollback.run(app, asked.run, asked.host, _caller(asked), approved=asked.yes)


async def _hold(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import hold

    words = hold.HoldWords(
        asked.reason, asked.until, release=asked.release, now=asked.now, approved=asked.yes
    )
    return await hold.hold(app, asked.host, words, _caller(asked))


async def _resume(asked: argparse.Namespace, app: App) -> Outcome[Value]:
    from reconciler.verbs import hold

    return await hold.resume(app, asked.host, _caller(asked), approved=asked.yes)


_CALLS: Mapping[str, Callable[[argparse.Namespace, App], Awaitable[Outcome[Value]]]] = {
    "init": _init,
    "import": _import,
    "doctor": _doctor,
    "try_power": _try_power,
    "validate": _validate,
    "use": _use,
    "plan": _plan,
    "apply": _apply,
    "status": _status,
    "explain": _explain,
    "logs": _logs,
    "history": _history,
    "key": _key,
    "rollback": _rollback,
    "retry": _retry,
    "restart": _restart,
    "watch": _watch,
    "serve": _serve,
    "hold": _hold,
    "resume": _resume,
}
"""What carries a verb out. `demo` has no app, and `doctor --try-power` its own call."""
