"""How a unit is started: once there is memory, until it is healthy and has its conversations."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.core import conversations, phrases
from reconciler.core.recipes.draft import (
    LOAD_ALLOWANCE,
    SAVE_ALLOWANCE,
    SLOWEST_LOAD,
    SLOWEST_SAVE,
    Recipe,
    StepDraft,
    joined,
)
from reconciler.core.recipes.stop import remedy
from reconciler.core.vram import awaited
from reconciler.model.change import ProveChange, RestoreChange, StartChange, StopChange
from reconciler.model.facts import SavedSlot, Weights
from reconciler.model.gpu import GIB
from reconciler.model.observed import GPU, Observed
from reconciler.model.sight import ModelSight
from reconciler.model.spec import ModelSpec, Slice
from reconciler.steps.await_healthy import AwaitHealthy
from reconciler.steps.await_vram import AwaitVram
from reconciler.steps.prefetch import Prefetch
from reconciler.steps.restore_slots import RestoreSlots, fitting_slots
from reconciler.steps.start import Start


def memory_recipe(
    starts: list[StartChange], stops: list[StopChange], wanted: Slice, observed: Observed
) -> Recipe:
    """The wait for the memory that all starts need."""
    host = wanted.host.name
    gpu = observed.value(GPU(host))
    if not starts or (gpu is not None and not gpu.cards):
        return Recipe(())
    step = awaited(starts, stops, wanted, observed)
    stopped = (("stop", change.model) for change in stops)
    after = (*stopped, ("prepare", host), ("wake", host))
    return Recipe((StepDraft(step, _need(starts, step), after=after),))


def _need(starts: list[StartChange], step: AwaitVram) -> str:
    names = " and ".join(change.model for change in starts)
    verb = "needs" if len(starts) == 1 else "need"
    if not step.need_bytes:
        return f"what {names} {verb} is not known yet"
    each = ", ".join(
        f"{share.need_bytes / GIB:.1f} GiB on card {share.card}" for share in step.shares
    )
    return f"{names} {verb} {step.target}{f' ({each})' if each else ''}"


def start_recipe(
    change: StartChange, wanted: Slice, observed: Observed, saved: Observed, *, first: bool
) -> Recipe:
    """The steps from a model that does not run to one that serves, with its conversations."""
    host, name = change.host, change.model
    model = _defined(wanted, name)
    weights = ModelSight(observed, host, name).weights
    start = Start(host=host, model=name, port=model.door, digest=model.digest)
    before = (("await_vram", ""), ("stop", ""), ("prepare", host), ("wake", host))
    drafts = (
        *(_prefetch(change, weights) if first else ()),
        StepDraft(start, change.cause, after=before),
        _healthy(model, host, change.cause, weights),
    )
    return joined((Recipe(drafts), _conversations(change, model, observed, saved)))


def _prefetch(change: StartChange, weights: Weights | None) -> tuple[StepDraft, ...]:
    if weights is None or not weights.exists:
        return ()
    return (StepDraft(Prefetch(host=change.host, model=change.model), change.cause),)


def _conversations(
    change: StartChange, model: ModelSpec, observed: Observed, saved: Observed
) -> Recipe:
    """What comes back into a model that is started, and what does not."""
    weights = ModelSight(observed, change.host, model.name).weights
    if model.keeps_conversations and (weights is None or weights.keepable):
        notes = conversations.unfit(observed, change.host, model.name)
        back = ModelSight(saved, change.host, model.name)
        return Recipe((_restore_draft(change, back),) if fitting_slots(back) else (), notes)
    if weights is None or weights.keepable or model.conversations == "drop":
        return Recipe(())
    why = weights.unkept and f": {weights.unkept}"
    why = why or f" with {weights.architecture or 'this model'}"
    return Recipe((), (f"{model.name}: conversations cannot be kept{why}{remedy(weights)}",))


def _defined(wanted: Slice, model_name: str) -> ModelSpec:
    # Only what the slice defines is ever started or waited for.
    return {model.name: model for model in wanted.models}[model_name]


def _healthy(model: ModelSpec, host: str, cause: str, weights: Weights | None) -> StepDraft:
    size = weights.size if weights else 0
    deadline = LOAD_ALLOWANCE + size / SLOWEST_LOAD
    step = AwaitHealthy(
        host=host, model=model.name, port=model.door, digest=model.digest, deadline=deadline
    )
    return StepDraft(step, cause, after=(("start", model.name),))


def prove_recipe(change: ProveChange, wanted: Slice) -> Recipe:
    """The wait for a model that an earlier run started."""
    return Recipe((_healthy(_defined(wanted, change.model), change.host, change.cause, None),))


def restore_recipe(change: RestoreChange, observed: Observed) -> Recipe:
    """What puts conversations back into a model that runs."""
    seen = ModelSight(observed, change.host, change.model)
    return Recipe((_restore_draft(change, seen),))


def _restore_draft(change: StartChange | RestoreChange, seen: ModelSight) -> StepDraft:
    fitting = fitting_slots(seen)
    tokens = sum(slot.tokens for slot in fitting)
    note = f"{phrases.counted(len(fitting), 'slot')} saved ({tokens:,} tokens)"
    deadline = _restore_deadline(fitting, seen.weights)
    step = RestoreSlots(host=seen.host, model=seen.model, deadline=deadline)
    return StepDraft(step, change.cause, note, after=(("await_healthy", seen.model),))


def _restore_deadline(slots: Iterable[SavedSlot], weights: Weights | None) -> float:
    per_token = weights.kv_bytes_per_token if weights else 0
    size = sum(slot.bytes or slot.tokens * per_token for slot in slots)
    return SAVE_ALLOWANCE + 2 * size / SLOWEST_SAVE
