"""How the power of a host changes, and how it is prepared once it is up."""

from __future__ import annotations

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


def power_recipe(
    change: PowerChange, wanted: Slice, stops: list[StopChange], observed: Observed
) -> Recipe:
    """Return what brings a host up, or sends it down once its models are stopped."""
    cause = (
        f"power is {change.have}, wanted is"
        f" {POWER_STATES[wanted.power] if wanted.power else change.want}"
    )
    can = wanted.host.capabilities
    if change.want == "on":
        sleepers = tuple(Sleeper(model=model.name, port=model.port) for model in wanted.models)
        wake = Wake(host=change.host, models=sleepers, checked=wanted.host.prepare is not None)
        return _if_able(can.can_wake, StepDraft(wake, cause), change)
    force = change.want == "off" and can.can_cut
    if change.have == GOING_DOWN:
        return Recipe(
            (StepDraft(AwaitDown(host=change.host, ends=change.want, force=force), cause),)
        )
    names = tuple(sorted({model.name for model in wanted.models} | {stop.model for stop in stops}))
    after = tuple(("stop", stop.model) for stop in stops)
    units = (observed.value(UNIT(change.host, name)) for name in names)
    own = tuple(sorted(pid for unit in units if unit is not None for pid in unit.members))
    kind, able = (
        (Shutdown, can.can_shut_down) if change.want == "off" else (Suspend, can.can_suspend)
    )
    step = kind(host=change.host, models=names, own=own, force=force)
    return _if_able(able, StepDraft(step, cause, after=after), change)


def prepare_recipe(change: PrepareChange, wanted: Slice, observed: Observed) -> Recipe:
    """Return what makes a host ready that has come up."""
    checks = _is_at_rest(wanted, observed)
    step = Prepare(host=change.host, digest=change.digest, checks=checks, deadline=change.seconds)
    beside = (
        wanted.host.prepare is not None and wanted.host.prepare.check is not None and not checks
    )
    note = f"{change.cause}; nothing is checked beside what runs there" if beside else ""
    return Recipe((StepDraft(step, change.cause, note, after=(("wake", change.host),)),))


def _is_at_rest(wanted: Slice, observed: Observed) -> bool:
    """Return whether nothing runs on a host that a check, or what helps where it fails, could hurt."""
    host = wanted.host.name
    runs = any(observed.value(UNIT(host, model.name)) for model in wanted.models)
    gpu = observed.value(GPU(host)) or Gpu()
    orphans = observed.value(ORPHANS(host))
    return not (runs or gpu.jobs or orphans)


def _if_able(able: bool, draft: StepDraft, change: PowerChange) -> Recipe:
    if able:
        return Recipe((draft,))
    return Recipe(
        (),
        refusals=(
            f"power of {change.host} is {change.have} and its driver cannot make it {change.want}",
        ),
    )
