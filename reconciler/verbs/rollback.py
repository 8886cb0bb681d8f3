"""Rollback: go back to an earlier state of a host, and leave the present wish alone until it changes."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.core.canonical import digest
from reconciler.core.recovery import attempt_key
from reconciler.errors import Misused, Refused
from reconciler.loop.observer import Observer
from reconciler.model.records import RollBack, Row, RunClosed, RunOpened
from reconciler.model.spec import Slice
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
    names = among(wanted.slices, host)
    if len(names) != 1:
        raise Misused(f"name the host with --host; managed are: {', '.join(names) or 'none'}")
    (name,) = names
    now = wanted.slices[name]
    chosen = _chosen(promoted(await app.journal.rows(), name), run_number, digest(now))
    observed = await Observer(app.readers(now), now, app.clock).everything()
    leaves = attempt_key(now, digest(now), observed)
    asked = RollBack(host=name, slice=chosen.slice, digest=chosen.digest, leaves=leaves)
    outcome = await apply.run(
        app, apply.ApplyRequest(trigger="rollback", noting=(asked,), approved=approved), caller
    )
    caller.say(f"to make it permanent, where both files are: {permanently(chosen, now)}")
    return outcome


def permanently(chosen: RunOpened, now: Slice) -> str:
    """Return how both files come to say what was wanted then: by git where a commit has just that, else by hand."""
    if chosen.provenance.state == "committed":
        return (
            f"git checkout {chosen.provenance.commit[:12]} -- desired.yaml inventory.yaml, and"
            " commit"
        )
    then = chosen.slice
    desired = "`active:`" if then.active is None else f"`active: [{', '.join(then.active)}]`"
    changed = [name for name in then.active or () if then.model(name) != now.model(name)]
    redefined = (
        f", and inventory.yaml define {' and '.join(changed)} as it did then" if changed else ""
    )
    return f"let desired.yaml {'leave out' if then.active is None else 'say'} {desired}{redefined}"


def promoted(rows: Iterable[Row], host: str) -> dict[int, RunOpened]:
    """Return the runs of a host that stayed healthy, oldest first.

    That a hold emptied it was never a state to go back to.
    """
    opened: dict[int, RunOpened] = {}
    good: dict[int, RunOpened] = {}
    for row in rows:
        record = row.record
        if isinstance(record, RunOpened) and record.host == host and record.mode != "release":
            opened[row.seq] = record
        elif (
            isinstance(record, RunClosed) and record.verdict == "promoted" and record.run in opened
        ):
            good[record.run] = opened[record.run]
    return good


def _chosen(good: dict[int, RunOpened], run_number: int | None, present: str) -> RunOpened:
    if run_number is not None and run_number in good:
        return good[run_number]
    others = [record for record in good.values() if record.digest != present]
    if run_number is None and others:
        return others[-1]
    which = (
        "earlier state to go back to"
        if run_number is None
        else f"run {run_number} that stayed healthy"
    )
    numbers = ", ".join(map(str, good)) or "none"
    raise Misused(f"there is no {which}; runs that stayed healthy: {numbers}")
