"""How the power of a host changes, and how it is prepared once it is up."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.core.power_change import GOING_DOWN, POWER_STATES
from reconciler.core.recipes.draft import Recipe, StepDraft
from reconciler.model.change import PowerChange, PrepareChange, StopChange
from reconciler.model.gpu import Gpu
from reconciler.model.observed import GPU, ORPHANS, UNIT, Observed
from reconciler.model.spec import Slice
from reconciler.steps.await_down import AwaitDown
from reconciler.steps.prepare import Prepare
from reconciler.steps.shutdown import Shutdown
from reconciler.steps.suspend import Suspend
from reconciler.steps.wake import Sleeper, Wake

ASLEEP = (
    "it hears nothing, so it cannot be shut down from there; write `power: on` and apply that, then"
    " `off`, or leave it asleep with `suspend`"
)


def power_recipe(
    change: PowerChange, wanted: Slice, stops: list[StopChange], observed: Observed
) -> Recipe:
    """What brings a host up, or shuts it down or suspends it once its models are stopped."""
    want = POWER_STATES[wanted.power] if wanted.power else change.want
    cause = f"power is {change.have}, wanted is {want}"
    can = wanted.host.capabilities
    if change.want == "on":
        return _if_able(can.can_wake, StepDraft(_wake(change.host, wanted), cause), change)
    force = change.want == "off" and can.can_cut
    if change.have == GOING_DOWN:
        wait = AwaitDown(host=change.host, ends=change.want, force=force)
        return Recipe((StepDraft(wait, cause),))
    if change.have == "suspended":
        return Recipe((), refusals=(f"power of {change.host} is suspended: {ASLEEP}",))
    names = _named(wanted, stops)
    own = _own_pids(change.host, names, observed)
    kind, able = (
        (Shutdown, can.can_shut_down) if change.want == "off" else (Suspend, can.can_suspend)
    )
    step = kind(host=change.host, models=names, own=own, force=force)
    after = tuple(("stop", stop.model) for stop in stops)
    return _if_able(able, StepDraft(step, cause, after=after), change)


def _named(wanted: Slice, stops: Iterable[StopChange]) -> tuple[str, ...]:
    defined = {model.name for model in wanted.models}
    return tuple(sorted(defined | {stop.model for stop in stops}))


def _wake(host: str, wanted: Slice) -> Wake:
    sleepers = tuple(Sleeper(model=model.name, port=model.door) for model in wanted.models)
    return Wake(host=host, models=sleepers, checked=wanted.host.prepare is not None)


def _own_pids(host: str, model_names: Iterable[str], observed: Observed) -> tuple[int, ...]:
    units = (observed.value(UNIT(host, name)) for name in model_names)
    return tuple(sorted(pid for unit in units if unit is not None for pid in unit.members))


def prepare_recipe(change: PrepareChange, wanted: Slice, observed: Observed) -> Recipe:
    """What makes a host ready that has come up."""
    checks = _is_at_rest(wanted, observed)
    step = Prepare(host=change.host, digest=change.digest, checks=checks, deadline=change.seconds)
    note = f"{change.cause}; nothing is checked beside what runs there"
    draft = StepDraft(
        step,
        change.cause,
        note if _has_check(wanted) and not checks else "",
        after=(("wake", change.host),),
    )
    return Recipe((draft,))


def _has_check(wanted: Slice) -> bool:
    return wanted.host.prepare is not None and wanted.host.prepare.check is not None


def _is_at_rest(wanted: Slice, observed: Observed) -> bool:
    """Whether nothing runs on a host that a check, or what helps where it fails, could hurt."""
    host = wanted.host.name
    runs = any(observed.value(UNIT(host, model.name)) for model in wanted.models)
    gpu = observed.value(GPU(host)) or Gpu()
    orphans = observed.value(ORPHANS(host))
    return not (runs or gpu.jobs or orphans)


def _if_able(able: bool, draft: StepDraft, change: PowerChange) -> Recipe:
    if able:
        return Recipe((draft,))
    reason = f"power of {change.host} is {change.have} and its driver cannot make it {change.want}"
    return Recipe((), refusals=(reason,))
