"""Rollback: go back to an earlier state of a host, and leave the wish alone until it changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn, TypeGuard

from reconciler.core.attempts import attempt_key
from reconciler.core.canonical import digest
from reconciler.core.wording import listed
from reconciler.errors import Misused, Refused
from reconciler.loop.observer import Observer
from reconciler.model.records import PASSING, Record, RollBack, Row, RunClosed, RunOpened
from reconciler.model.spec import Slice
from reconciler.model.target import Wanted
from reconciler.render.documents import VerdictDocument
from reconciler.verbs import apply
from reconciler.verbs.context import Actor, Caller
from reconciler.verbs.hosts import among
from reconciler.verbs.result import Outcome


async def run(
    app: Actor, run_number: int | None, host: str | None, caller: Caller, *, approved: bool
) -> Outcome[VerdictDocument]:
    """Aim a host at a promoted run, the one before the present by default.

    Raise Misused when there is none, or Refused.
    """
    wanted = app.source.read()
    if wanted.provenance.objection:
        raise Refused(wanted.provenance.objection)
    name = _one_host(wanted, host)
    now = wanted.slices[name]
    chosen = _chosen(await _promoted(app, name), run_number, digest(now))
    asked = await _record(app, now, chosen)
    request = apply.ApplyRequest(trigger="rollback", noting=(asked,), approved=approved)
    outcome = await apply.run(app, request, caller)
    caller.say(f"to make it permanent, where both files are: {permanently(chosen, now)}")
    return outcome


def _one_host(wanted: Wanted, host: str | None) -> str:
    names = among(wanted.slices, host)
    if len(names) != 1:
        raise Misused(f"name the host with --host; the managed hosts are: {listed(names)}")
    return names[0]


async def _record(app: Actor, now: Slice, chosen: RunOpened) -> RollBack:
    observed = await Observer(app.readers(now), now, app.clock).everything()
    # The wish is left as it would be tried today: a program that is replaced is another attempt.
    leaves = attempt_key(now, digest(now), observed)
    return RollBack(host=now.host.name, slice=chosen.slice, digest=chosen.digest, leaves=leaves)


def permanently(chosen: RunOpened, now: Slice) -> str:
    """Tell how both files come to say what was wanted then.

    By git where a commit has just that, else by hand.
    """
    if chosen.provenance.state == "committed":
        commit = chosen.provenance.commit[:12]
        return f"git checkout {commit} -- desired.yaml inventory.yaml, and commit"
    return f"let desired.yaml {_active(chosen.slice)}{_redefined(chosen.slice, now)}"


def _active(then: Slice) -> str:
    if then.active is None:
        return "leave out `active:`"
    return f"say `active: [{', '.join(then.active)}]`"


def _redefined(then: Slice, now: Slice) -> str:
    changed = [name for name in then.active or () if then.model(name) != now.model(name)]
    models = " and ".join(changed)
    return f", and inventory.yaml define {models} as it did then" if changed else ""


async def _promoted(app: Actor, host: str) -> dict[int, RunOpened]:
    runs = list[Row]()
    async for part in app.journal.parts(0):
        runs += (row for row in part if isinstance(row.record, RunOpened | RunClosed))
    return promoted(runs, host)


def promoted(rows: Iterable[Row], host: str) -> dict[int, RunOpened]:
    """Find the runs of a host to go back to, which stayed healthy, by number, oldest first."""
    opened: dict[int, RunOpened] = {}
    good: dict[int, RunOpened] = {}
    for row in rows:
        record = row.record
        if isinstance(record, RunOpened) and _leads_somewhere(record, host):
            opened[row.seq] = record
        elif _is_promotion(record) and record.run in opened:
            good[record.run] = opened[record.run]
    return good


def _leads_somewhere(run: RunOpened, host: str) -> bool:
    return run.host == host and run.mode not in PASSING


def _is_promotion(record: Record) -> TypeGuard[RunClosed]:
    return isinstance(record, RunClosed) and record.verdict == "promoted"


def _chosen(good: dict[int, RunOpened], run_number: int | None, present: str) -> RunOpened:
    if run_number is None:
        others = [record for record in good.values() if record.digest != present]
        found = others[-1] if others else None
    else:
        found = good.get(run_number)
    return found or _refuse(good, run_number)


def _refuse(good: dict[int, RunOpened], run_number: int | None) -> NoReturn:
    one_run = f"run {run_number} to go back to"
    which = "earlier state to go back to" if run_number is None else one_run
    those = "runs that reached what was wanted and stayed healthy"
    raise Misused(f"there is no {which}; {those}: {listed(good)}")
