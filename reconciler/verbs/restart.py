"""Restart: have a fresh unit take the place of the one that runs a model, with its conversations.

It is planned like any other difference: drained, saved, stopped, started and restored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reconciler.errors import Refused
from reconciler.loop.observer import Observer, remembered
from reconciler.loop.survey import HostSurvey, survey
from reconciler.model.facts import Unit
from reconciler.model.observed import UNIT
from reconciler.model.records import Restart
from reconciler.model.spec import Slice
from reconciler.render.documents import VerdictDocument
from reconciler.steps.start import Start
from reconciler.verbs import apply, lend
from reconciler.verbs.context import Actor, Caller
from reconciler.verbs.hosts import home
from reconciler.verbs.result import Outcome


async def run(app: Actor, model_name: str, caller: Caller) -> Outcome[VerdictDocument]:
    """Record that the unit of a model is to be replaced once that is approved, and carry it out.

    Raise Misused, Refused or NotApproved before anything is recorded; then as apply.
    """
    wanted = app.source.read()
    slice_ = home(wanted, model_name)
    if await _is_on_its_way(app, slice_, model_name):
        caller.say(f"{model_name} is being started already; nothing more is asked for")
        return await apply.run(app, _request(()), caller)
    unit = await _unit(app, slice_, model_name)
    host = slice_.host.name
    noting = (Restart(host=host, model=model_name, identity=unit.identity),) if unit else ()
    seen = await survey(app, wanted, noting)
    _refuse_in_vain(model_name, unit, seen)
    allowed = lend.agreed(wanted, seen, {host}, caller)
    once = replace(caller, approve=lambda plan: plan.hosts == allowed or caller.approve(plan))
    return await apply.run(app, _request(noting), once)


def _request(noting: tuple[Restart, ...]) -> apply.ApplyRequest:
    return apply.ApplyRequest(trigger="restart", noting=noting, approved=True)


async def _is_on_its_way(app: Actor, slice_: Slice, model_name: str) -> bool:
    """Whether a run has started the model and has not seen it work yet."""
    hints = await app.remembered().hints(slice_.host.name)
    return hints.open_run is not None and model_name in hints.unproven


async def _unit(app: Actor, slice_: Slice, model_name: str) -> Unit | None:
    """What runs the model, None where nothing does; raise Refused where that is not known."""
    host = slice_.host.name
    hints = remembered(await app.remembered().hints(host))
    key = UNIT(host, model_name)
    observed = await Observer(app.readers(slice_), slice_, app.clock, hints).look([key])
    missing = observed.unknown(key)
    if missing is not None:
        said = f"whether {model_name} runs is not known: {missing.reason}"
        raise Refused(f"nothing was changed: {said}")
    return observed.value(key)


def _refuse_in_vain(model_name: str, unit: Unit | None, seen: Sequence[HostSurvey]) -> None:
    """Raise Refused where nothing would start the model again."""
    plan = next(one.plan for one in seen if one.slice.model(model_name) is not None)
    starts = (one.step.model for one in plan.steps if isinstance(one.step, Start))
    if plan.refusals or model_name in starts:
        return
    here = "runs, and would not be started again" if unit else "does not run"
    raise Refused(
        f"nothing was changed: {model_name} {here}, since desired.yaml does not ask for it;"
        f" `reconciler use {model_name}` does"
    )
