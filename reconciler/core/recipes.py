"""Recipes: which steps bring about each change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

from reconciler.core import conversations
from reconciler.core.diff import GOING_DOWN, POWER_STATES
from reconciler.core.room import Shortage, shortage
from reconciler.core.vram import awaited
from reconciler.model.change import Change, PowerChange, PrepareChange, ProveChange, RestoreChange, StartChange, StopChange
from reconciler.model.facts import Activity, Unit, Weights
from reconciler.model.gpu import GIB, Gpu
from reconciler.model.observed import ACTIVITY, BINARY, FINGERPRINT, GPU, HEALTH, ORPHANS, UNIT, WEIGHTS, Observed
from reconciler.model.spec import ModelSpec, Slice
from reconciler.steps.await_down import AwaitDown
from reconciler.steps.await_healthy import AwaitHealthy
from reconciler.steps.drain import Drain
from reconciler.steps.plan import AnyStep
from reconciler.steps.prefetch import Prefetch
from reconciler.steps.prepare import Prepare
from reconciler.steps.restore_slots import RestoreSlots, fitting_slots, is_poisoned
from reconciler.steps.save_slots import REPLACED, UNCOUNTED, SaveSlots, out_of_reach
from reconciler.steps.shutdown import Shutdown
from reconciler.steps.start import Start
from reconciler.steps.stop import Stop
from reconciler.steps.suspend import Suspend
from reconciler.steps.wake import Sleeper, Wake

SLOWEST_SAVE = 50e6
SLOWEST_LOAD = 50e6
SAVE_ALLOWANCE = 15.0
LOAD_ALLOWANCE = 120.0

DraftKey: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class StepDraft:
    """A step before it has a number. `after` names the drafts it waits for, those that exist."""

    step: AnyStep
    cause: str
    note: str = ""
    after: tuple[DraftKey, ...] = ()

    @property
    def key(self) -> DraftKey:
        """Kind and target, which are unique in one host's plan."""
        return (self.step.kind, self.step.target)


@dataclass(frozen=True)
class Recipe:
    """All drafts of one host, what a person should know, and how many conversations are lost (None: nobody can say)."""

    drafts: tuple[StepDraft, ...]
    notes: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    lost_conversations: int | None = 0


def recipe(changes: Iterable[Change], wanted: Slice, observed: Observed) -> Recipe:
    """Return the steps for all changes of one host."""
    ordered = tuple(changes)
    stops = [change for change in ordered if isinstance(change, StopChange)]
    starts = [change for change in ordered if isinstance(change, StartChange)]
    parts = [_stop(change, wanted, observed) for change in stops]
    saved = _with_saved(parts, observed)
    parts.append(_memory(starts, stops, wanted, observed))
    parts += [_start(change, wanted, observed, saved, first=bool(stops)) for change in starts]
    parts += [_prove(change, wanted) for change in ordered if isinstance(change, ProveChange)]
    parts += [_restore(change, observed) for change in ordered if isinstance(change, RestoreChange)]
    parts += [_prepare(change, wanted, observed) for change in ordered if isinstance(change, PrepareChange)]
    parts += [_power(change, wanted, stops, observed) for change in ordered if isinstance(change, PowerChange)]
    lost = [part.lost_conversations for part in parts]
    return Recipe(
        drafts=tuple(draft for part in parts for draft in part.drafts),
        notes=tuple(note for part in parts for note in part.notes),
        refusals=tuple(refusal for part in parts for refusal in part.refusals),
        lost_conversations=None if None in lost else sum(number or 0 for number in lost),
    )


def _stop(change: StopChange, wanted: Slice, observed: Observed) -> Recipe:
    host, name = change.host, change.model
    model = wanted.model(name)
    unseen = _unseen(model, change, wanted, observed)
    if unseen is not None:
        return unseen
    keeps, why_not = _keeps(model, change, observed)
    activity = observed.value(ACTIVITY(host, name))
    stop = Stop(host=host, model=name, port=_port(change, wanted, observed), keeps=keeps, identity=change.identity)
    if not keeps:
        notes = (f"{name}: conversations end here: {why_not}",) if why_not else ()
        lost = _lost(change, observed)
        required = bool(why_not and lost != 0 and model and model.conversations == "require")
        refusals = (f"{name} has `conversations: require`, but {why_not}",) if required else ()
        drain = (_drain(change, activity),) if _is_ready(observed, host, name) else ()
        after = (("drain", name),)
        return Recipe((*drain, StepDraft(stop, change.cause, after=after)), notes, refusals, lost)
    # A unit of an older definition is saved under what it carries, not under what the file says now
    # (ADR 0013).
    own = _fingerprint_of_its_own(change, wanted, observed)
    save = SaveSlots(
        host=host, model=name, deadline=_save_deadline(activity, observed, host, name),
        required=model is not None and model.conversations == "require", fingerprint=own,
    )  # fmt: skip
    short = shortage(save, observed)
    stop = stop.model_copy(update={"unsavable": short.conversations})
    return Recipe(
        (
            _drain(change, activity),
            StepDraft(save, change.cause, _held(activity), after=(("drain", name),)),
            StepDraft(stop, change.cause, after=(("save_slots", name),)),
        ),
        (*_set_aside(change, own, observed), *_not_saved(save, short), *_in_use(save, activity)),
        (f"{name} has `conversations: require`, but {short.because}",) if save.required and short.conversations else (),
        lost_conversations=short.conversations if activity else None,
    )


def _not_saved(save: SaveSlots, short: Shortage) -> tuple[str, ...]:
    """Return for how many conversations there is no room, and what to do, unless that refuses the plan."""
    if save.required or not short.conversations:
        return ()
    return (f"{save.model}: {_count(short.conversations, 'conversation')} cannot be saved: {short.because}",)


def _in_use(save: SaveSlots, activity: Activity | None) -> tuple[str, ...]:
    """Return what becomes of a conversation whose client does not end while it is waited for."""
    if activity is None or not activity.in_flight:
        return ()
    ends = "nothing is stopped" if save.required else "that conversation is lost"
    return (f"{save.model}: where a client is not done within {Drain.model_fields['deadline'].default:.0f} s, {ends}",)


def _unseen(model: ModelSpec | None, change: StopChange, wanted: Slice, observed: Observed) -> Recipe | None:
    """Return how a unit ends that lives and lets nobody look into it: never before somebody said that it may, unseen."""
    name = change.model
    health = observed.value(HEALTH(change.host, name))
    unit = observed.value(UNIT(change.host, name))
    if model is None or health is None or not health.is_closed or unit is None or not unit.leader:
        return None
    # What a run has just started, and cannot be understood, has failed to start (ADR 0018).
    if change.unproven and health.phase == "unclear":
        return None
    stop = Stop(host=change.host, model=name, port=_port(change, wanted, observed), identity=change.identity)
    draft, lost = StepDraft(stop, change.cause), _lost(change, observed)
    # It may be serving somebody: that nobody can see into it is no reason to stop it, a person's
    # word is (ADR 0018).
    if model.conversations == "drop":
        return Recipe((draft,), (f"{name} is stopped unseen, whatever it is doing: {health.message}",), (), lost)
    way_out = f"or write `conversations: drop` at {name}, and it is stopped unseen"
    return Recipe((draft,), (), (f"{name} runs, and what it is doing cannot be seen: {health.message}; {way_out}",), lost)


def _fingerprint_of_its_own(change: StopChange, wanted: Slice, observed: Observed) -> str:
    """Return what a conversation of a unit of another definition than the wanted one depends on, empty for all others."""
    unit, model = observed.value(UNIT(change.host, change.model)), wanted.model(change.model)
    return unit.mark.fingerprint_apart(model.digest) if unit and model else ""


def _set_aside(change: StopChange, own: str, observed: Observed) -> tuple[str, ...]:
    """Return that what is saved of another definition does not fit the one that is wanted."""
    fingerprint = observed.value(FINGERPRINT(change.host, change.model))
    if not own or (fingerprint is not None and fingerprint.digest == own):
        return ()
    return (f"{change.model}: its conversations fit only the definition that it runs with; saved, they come back with that one",)


def _with_saved(parts: Iterable[Recipe], observed: Observed) -> Observed:
    """Return the world in which what is to be saved before the stops has been."""
    saves = (draft.step for part in parts for draft in part.drafts if isinstance(draft.step, SaveSlots))
    return reduce(lambda world, save: save.predict(world), saves, observed)


def _port(change: StopChange, wanted: Slice, observed: Observed) -> int | None:
    """Return where a unit listens: a definition that moved its model to another port did not move the unit."""
    unit = observed.value(UNIT(change.host, change.model))
    model = wanted.model(change.model)
    return (unit.mark.port if unit else None) or (model.port if model else change.port)


def _held(activity: Activity | None) -> str:
    """Return what a person should know of what an engine remembers."""
    if activity is None:
        return "what it remembers is not known"
    holding = [slot for slot in activity.slots if slot.holds_conversation]
    if not holding:
        return "no slot holds a conversation"
    verb = "holds" if len(holding) == 1 else "hold"
    return f"{_count(len(holding), 'slot')} {verb} {sum(slot.tokens or 0 for slot in holding):,} tokens"


def _drain(change: StopChange, activity: Activity | None) -> StepDraft:
    in_flight = activity.in_flight if activity else 0
    note = f"{_count(in_flight, 'request')} in flight" if in_flight else ""
    return StepDraft(Drain(host=change.host, model=change.model), change.cause, note)


def _lost(change: StopChange, observed: Observed) -> int | None:
    """Return how many conversations end with a unit; one that sleeps or loads remembers nothing."""
    health = observed.value(HEALTH(change.host, change.model))
    if health is not None and health.phase in {"sleeping", "loading"}:
        return 0
    activity = observed.value(ACTIVITY(change.host, change.model))
    return None if activity is None or activity.uncounted else sum(slot.holds_conversation for slot in activity.slots)


def _is_ready(observed: Observed, host: str, model_name: str) -> bool:
    health = observed.value(HEALTH(host, model_name))
    return health is not None and health.tells


def _keeps(model: ModelSpec | None, change: StopChange, observed: Observed) -> tuple[bool, str]:
    """Return whether conversations can be saved before a stop, and if not, why that is worth saying."""
    if model is None:
        return False, "its definition is gone"
    if not model.keeps_conversations:
        return False, ""
    health = observed.value(HEALTH(change.host, change.model))
    weights = observed.value(WEIGHTS(change.host, change.model))
    if health is None or not health.lives:
        return False, f"the engine does not answer ({health.message if health else 'not seen'})"
    if health.phase == "unclear":
        return False, f"the engine does not work ({health.message})"
    unit = observed.value(UNIT(change.host, change.model))
    if unit is not None and not unit.leader:
        return False, "it died and left processes behind"
    if is_poisoned(observed, change.host, change.model):
        return False, "a failed restore may have left it damaged"
    if health.phase in {"sleeping", "loading"}:
        return False, ""
    if unit is not None and unit.mark.digest != model.digest:
        why_not = out_of_reach(unit, observed.value(FINGERPRINT(change.host, change.model)))
        return not why_not, why_not
    activity = observed.value(ACTIVITY(change.host, change.model))
    why_not = _unable(weights, activity) or _replaced(change, weights, unit, observed)
    return not why_not, why_not


def _unable(weights: Weights | None, activity: Activity | None) -> str:
    """Return why nothing of this model, or of any on its server, can ever come back."""
    if weights is not None and not weights.keepable:
        return f"{weights.architecture or 'this model'} cannot restore them" + _remedy(weights)
    return UNCOUNTED if activity and activity.uncounted else ""


def _replaced(change: StopChange, weights: Weights | None, unit: Unit | None, observed: Observed) -> str:
    """Return that a file which a saved conversation would depend on is gone, or is not the one that the unit runs."""
    if weights is not None and not weights.exists:
        return f"its weights are gone ({weights.path})"
    binary = observed.value(BINARY(change.host, change.model))
    if binary is not None and binary.problem:
        return binary.problem
    fingerprint = observed.value(FINGERPRINT(change.host, change.model))
    return REPLACED if unit is not None and fingerprint is not None and not fingerprint.fits(unit) else ""


def _remedy(weights: Weights) -> str:
    return f"; {weights.remedy}" if weights.remedy else ""


def _save_deadline(activity: Activity | None, observed: Observed, host: str, model_name: str) -> float:
    weights = observed.value(WEIGHTS(host, model_name))
    per_token = weights.kv_bytes_per_token if weights else 0
    tokens = sum(slot.tokens or 0 for slot in activity.slots if slot.holds_conversation) if activity else 0
    return SAVE_ALLOWANCE + 2 * tokens * per_token / SLOWEST_SAVE


def _memory(starts: list[StartChange], stops: list[StopChange], wanted: Slice, observed: Observed) -> Recipe:
    gpu = observed.value(GPU(wanted.host.name))
    if not starts or (gpu is not None and not gpu.cards):
        return Recipe(())
    step = awaited(starts, stops, wanted, observed)
    names = " and ".join(change.model for change in starts)
    verb = "needs" if len(starts) == 1 else "need"
    each = ", ".join(f"{share.need_bytes / GIB:.1f} GiB on card {share.card}" for share in step.shares)
    need = f"{names} {verb} {step.target}{f' ({each})' if each else ''}"
    cause = need if step.need_bytes else f"what {names} {verb} is not known yet"
    after = (*(("stop", change.model) for change in stops), ("prepare", wanted.host.name), ("wake", wanted.host.name))
    return Recipe((StepDraft(step, cause, after=after),))


def _start(change: StartChange, wanted: Slice, observed: Observed, saved: Observed, *, first: bool) -> Recipe:
    host, name = change.host, change.model
    model = _defined(wanted, name)
    weights = observed.value(WEIGHTS(host, name))
    start = Start(host=host, model=name, port=model.port, digest=model.digest)
    before = (("await_vram", ""), ("stop", ""), ("prepare", host), ("wake", host))
    drafts = [StepDraft(start, change.cause, after=before), _healthy(model, host, change.cause, weights)]
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
    step = AwaitHealthy(host=host, model=model.name, port=model.port, digest=model.digest, deadline=deadline)
    return StepDraft(step, cause, after=(("start", model.name),))


def _prove(change: ProveChange, wanted: Slice) -> Recipe:
    return Recipe((_healthy(_defined(wanted, change.model), change.host, change.cause, None),))


def _restore(change: RestoreChange, observed: Observed) -> Recipe:
    return Recipe((_restore_draft(change.host, change.model, observed, change.cause),))


def _restore_draft(host: str, model_name: str, observed: Observed, cause: str) -> StepDraft:
    fitting = fitting_slots(observed, host, model_name)
    tokens = sum(slot.tokens for slot in fitting)
    note = f"{_count(len(fitting), 'slot')} saved ({tokens:,} tokens)"
    weights = observed.value(WEIGHTS(host, model_name))
    per_token = weights.kv_bytes_per_token if weights else 0
    deadline = SAVE_ALLOWANCE + 2 * sum(slot.bytes or slot.tokens * per_token for slot in fitting) / SLOWEST_SAVE
    step = RestoreSlots(host=host, model=model_name, deadline=deadline)
    return StepDraft(step, cause, note, after=(("await_healthy", model_name),))


def _power(change: PowerChange, wanted: Slice, stops: list[StopChange], observed: Observed) -> Recipe:
    cause = f"power is {change.have}, wanted is {POWER_STATES[wanted.power] if wanted.power else change.want}"
    can = wanted.host.capabilities
    if change.want == "on":
        sleepers = tuple(Sleeper(model=model.name, port=model.port) for model in wanted.models)
        wake = Wake(host=change.host, models=sleepers, checked=wanted.host.prepare is not None)
        return _if_able(can.can_wake, StepDraft(wake, cause), change)
    force = change.want == "off" and can.can_cut
    if change.have == GOING_DOWN:
        return Recipe((StepDraft(AwaitDown(host=change.host, ends=change.want, force=force), cause),))
    names = tuple(sorted({model.name for model in wanted.models} | {stop.model for stop in stops}))
    after = tuple(("stop", stop.model) for stop in stops)
    units = (observed.value(UNIT(change.host, name)) for name in names)
    own = tuple(sorted(pid for unit in units if unit is not None for pid in unit.members))
    kind, able = (Shutdown, can.can_shut_down) if change.want == "off" else (Suspend, can.can_suspend)
    step = kind(host=change.host, models=names, own=own, force=force)
    return _if_able(able, StepDraft(step, cause, after=after), change)


def _prepare(change: PrepareChange, wanted: Slice, observed: Observed) -> Recipe:
    checks = _is_at_rest(wanted, observed)
    step = Prepare(host=change.host, digest=change.digest, checks=checks, deadline=change.seconds)
    beside = wanted.host.prepare is not None and wanted.host.prepare.check is not None and not checks
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
    return Recipe((), refusals=(f"power of {change.host} is {change.have} and its driver cannot make it {change.want}",))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
