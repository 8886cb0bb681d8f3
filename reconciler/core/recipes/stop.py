"""How a unit is stopped: drained, saved, and ended.

And which of its conversations cannot be kept.
"""

from __future__ import annotations

from reconciler.core.recipes.draft import SAVE_ALLOWANCE, SLOWEST_SAVE, Recipe, StepDraft
from reconciler.core.room import Shortage, shortage
from reconciler.model.change import StopChange
from reconciler.model.facts import Activity, Unit, Weights
from reconciler.model.observed import ACTIVITY, BINARY, FINGERPRINT, HEALTH, UNIT, WEIGHTS, Observed
from reconciler.model.spec import ModelSpec, Slice
from reconciler.steps.drain import Drain
from reconciler.steps.restore_slots import is_poisoned
from reconciler.steps.save_slots import REPLACED, UNCOUNTED, SaveSlots, out_of_reach
from reconciler.steps.stop import Stop


def stop_recipe(change: StopChange, wanted: Slice, observed: Observed) -> Recipe:
    """Return drain, save and stop of one unit, as far as it has anything to lose."""
    host, name = change.host, change.model
    model = wanted.model(name)
    unseen = _unseen(model, change, wanted, observed)
    if unseen is not None:
        return unseen
    keeps, why_not = _keeps(model, change, observed)
    activity = observed.value(ACTIVITY(host, name))
    stop = Stop(
        host=host,
        model=name,
        port=_port(change, wanted, observed),
        keeps=keeps,
        identity=change.identity,
    )
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
        (
            (f"{name} has `conversations: require`, but {short.because}",)
            if save.required and short.conversations
            else ()
        ),
        lost_conversations=short.conversations if activity else None,
    )


def _not_saved(save: SaveSlots, short: Shortage) -> tuple[str, ...]:
    """Return for how many conversations there is no room, and what to do, unless that refuses the plan."""
    if save.required or not short.conversations:
        return ()
    return (
        (
            f"{save.model}: {_count(short.conversations, 'conversation')} cannot be saved:"
            f" {short.because}"
        ),
    )


def _in_use(save: SaveSlots, activity: Activity | None) -> tuple[str, ...]:
    """Return what becomes of a conversation whose client does not end while it is waited for."""
    if activity is None or not activity.in_flight:
        return ()
    ends = "nothing is stopped" if save.required else "that conversation is lost"
    return (
        (
            f"{save.model}: where a client is not done within"
            f" {Drain.model_fields['deadline'].default:.0f} s, {ends}"
        ),
    )


def _unseen(
    model: ModelSpec | None, change: StopChange, wanted: Slice, observed: Observed
) -> Recipe | None:
    """Return how a unit ends that lives and lets nobody look into it: never before somebody said that it may, unseen."""
    name = change.model
    health = observed.value(HEALTH(change.host, name))
    unit = observed.value(UNIT(change.host, name))
    if model is None or health is None or not health.is_closed or unit is None or not unit.leader:
        return None
    # What a run has just started, and cannot be understood, has failed to start (ADR 0018).
    if change.unproven and health.phase == "unclear":
        return None
    stop = Stop(
        host=change.host, model=name, port=_port(change, wanted, observed), identity=change.identity
    )
    draft, lost = StepDraft(stop, change.cause), _lost(change, observed)
    # It may be serving somebody: that nobody can see into it is no reason to stop it, a person's
    # word is (ADR 0018).
    if model.conversations == "drop":
        return Recipe(
            (draft,),
            (f"{name} is stopped unseen, whatever it is doing: {health.message}",),
            (),
            lost,
        )
    way_out = f"or write `conversations: drop` at {name}, and it is stopped unseen"
    return Recipe(
        (draft,),
        (),
        (f"{name} runs, and what it is doing cannot be seen: {health.message}; {way_out}",),
        lost,
    )


def _fingerprint_of_its_own(change: StopChange, wanted: Slice, observed: Observed) -> str:
    """Return what a conversation of a unit of another definition than the wanted one depends on, empty for all others."""
    unit, model = observed.value(UNIT(change.host, change.model)), wanted.model(change.model)
    return unit.mark.fingerprint_apart(model.digest) if unit and model else ""


def _set_aside(change: StopChange, own: str, observed: Observed) -> tuple[str, ...]:
    """Return that what is saved of another definition does not fit the one that is wanted."""
    fingerprint = observed.value(FINGERPRINT(change.host, change.model))
    if not own or (fingerprint is not None and fingerprint.digest == own):
        return ()
    return (
        (
            f"{change.model}: its conversations fit only the definition that it runs with; saved,"
            " they come back with that one"
        ),
    )


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
    return (
        f"{_count(len(holding), 'slot')} {verb} {sum(slot.tokens or 0 for slot in holding):,}"
        " tokens"
    )


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
    return (
        None
        if activity is None or activity.uncounted
        else sum(slot.holds_conversation for slot in activity.slots)
    )


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


def _replaced(
    change: StopChange, weights: Weights | None, unit: Unit | None, observed: Observed
) -> str:
    """Return that a file which a saved conversation would depend on is gone, or is not the one that the unit runs."""
    if weights is not None and not weights.exists:
        return f"its weights are gone ({weights.path})"
    binary = observed.value(BINARY(change.host, change.model))
    if binary is not None and binary.problem:
        return binary.problem
    fingerprint = observed.value(FINGERPRINT(change.host, change.model))
    return (
        REPLACED
        if unit is not None and fingerprint is not None and not fingerprint.fits(unit)
        else ""
    )


def _remedy(weights: Weights) -> str:
    return f"; {weights.remedy}" if weights.remedy else ""


def _save_deadline(
    activity: Activity | None, observed: Observed, host: str, model_name: str
) -> float:
    weights = observed.value(WEIGHTS(host, model_name))
    per_token = weights.kv_bytes_per_token if weights else 0
    tokens = (
        sum(slot.tokens or 0 for slot in activity.slots if slot.holds_conversation)
        if activity
        else 0
    )
    return SAVE_ALLOWANCE + 2 * tokens * per_token / SLOWEST_SAVE


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
