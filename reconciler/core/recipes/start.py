"""How a unit is started: once there is memory, until it is healthy, with its conversations put back."""

from __future__ import annotations

from reconciler.core import conversations
from reconciler.core.recipes.draft import (
    LOAD_ALLOWANCE,
    SAVE_ALLOWANCE,
    SLOWEST_LOAD,
    SLOWEST_SAVE,
    Recipe,
    StepDraft,
)
from reconciler.core.recipes.stop import _count, _remedy
from reconciler.core.vram import awaited
from reconciler.model.change import ProveChange, RestoreChange, StartChange, StopChange
from reconciler.model.facts import Weights
from reconciler.model.gpu import GIB
from reconciler.model.observed import GPU, WEIGHTS, Observed
from reconciler.model.spec import ModelSpec, Slice
from reconciler.steps.await_healthy import AwaitHealthy
from reconciler.steps.prefetch import Prefetch
from reconciler.steps.restore_slots import RestoreSlots, fitting_slots
from reconciler.steps.start import Start


def memory_recipe(
    starts: list[StartChange], stops: list[StopChange], wanted: Slice, observed: Observed
) -> Recipe:
    """Return the wait for the memory that all starts need."""
    gpu = observed.value(GPU(wanted.host.name))
    if not starts or (gpu is not None and not gpu.cards):
        return Recipe(())
    step = awaited(starts, stops, wanted, observed)
    names = " and ".join(change.model for change in starts)
    verb = "needs" if len(starts) == 1 else "need"
    each = ", ".join(
        f"{share.need_bytes / GIB:.1f} GiB on card {share.card}" for share in step.shares
    )
    need = f"{names} {verb} {step.target}{f' ({each})' if each else ''}"
    cause = need if step.need_bytes else f"what {names} {verb} is not known yet"
    after = (
        *(("stop", change.model) for change in stops),
        ("prepare", wanted.host.name),
        ("wake", wanted.host.name),
    )
    return Recipe((StepDraft(step, cause, after=after),))


def start_recipe(
    change: StartChange, wanted: Slice, observed: Observed, saved: Observed, *, first: bool
) -> Recipe:
    """Return the steps from a model that does not run to one that serves, with its conversations."""
    host, name = change.host, change.model
    model = _defined(wanted, name)
    weights = observed.value(WEIGHTS(host, name))
    start = Start(host=host, model=name, port=model.port, digest=model.digest)
    before = (("await_vram", ""), ("stop", ""), ("prepare", host), ("wake", host))
    drafts = [
        StepDraft(start, change.cause, after=before),
        _healthy(model, host, change.cause, weights),
    ]
    if first and weights is not None and weights.exists:
        drafts.insert(0, StepDraft(Prefetch(host=host, model=name), change.cause))
    notes: tuple[str, ...] = ()
    if _may_restore(model, weights):
        if fitting_slots(saved, host, name):
            drafts.append(_restore_draft(change.host, name, saved, change.cause))
        notes = conversations.unfit(observed, host, name)
    elif weights is not None and not weights.keepable and model.conversations != "drop":
        what = weights.architecture or "this model"
        notes = (f"{name}: conversations cannot be kept with {what}{_remedy(weights)}",)
    return Recipe(tuple(drafts), notes)


def _defined(wanted: Slice, model_name: str) -> ModelSpec:
    """Return the definition of a model of the slice: only such a one is ever started or waited for."""
    return {model.name: model for model in wanted.models}[model_name]


def _may_restore(model: ModelSpec, weights: Weights | None) -> bool:
    return model.keeps_conversations and (weights is None or weights.keepable)


def _healthy(model: ModelSpec, host: str, cause: str, weights: Weights | None) -> StepDraft:
    deadline = LOAD_ALLOWANCE + (weights.size if weights else 0) / SLOWEST_LOAD
    step = AwaitHealthy(
        host=host, model=model.name, port=model.port, digest=model.digest, deadline=deadline
    )
    return StepDraft(step, cause, after=(("start", model.name),))


def prove_recipe(change: ProveChange, wanted: Slice) -> Recipe:
    """Return the wait for a model that an earlier run started."""
    return Recipe((_healthy(_defined(wanted, change.model), change.host, change.cause, None),))


def restore_recipe(change: RestoreChange, observed: Observed) -> Recipe:
    """Return what puts conversations back into a model that runs."""
    return Recipe((_restore_draft(change.host, change.model, observed, change.cause),))


def _restore_draft(host: str, model_name: str, observed: Observed, cause: str) -> StepDraft:
    fitting = fitting_slots(observed, host, model_name)
    tokens = sum(slot.tokens for slot in fitting)
    note = f"{_count(len(fitting), 'slot')} saved ({tokens:,} tokens)"
    weights = observed.value(WEIGHTS(host, model_name))
    per_token = weights.kv_bytes_per_token if weights else 0
    deadline = (
        SAVE_ALLOWANCE
        + 2 * sum(slot.bytes or slot.tokens * per_token for slot in fitting) / SLOWEST_SAVE
    )
    step = RestoreSlots(host=host, model=model_name, deadline=deadline)
    return StepDraft(step, cause, note, after=(("await_healthy", model_name),))
