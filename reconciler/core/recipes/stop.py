"""How a unit is stopped: drained, saved, and ended; and which of its conversations are not kept."""

from __future__ import annotations

from reconciler.core.phrases import counted
from reconciler.core.recipes.draft import SAVE_ALLOWANCE, SLOWEST_SAVE, Recipe, StepDraft
from reconciler.core.room import Shortage, shortage
from reconciler.model.change import StopChange
from reconciler.model.facts import Activity, Health, Unit, Weights
from reconciler.model.observed import ACTIVITY, BINARY, FINGERPRINT, HEALTH, UNIT, WEIGHTS, Observed
from reconciler.model.spec import ModelSpec, Slice
from reconciler.steps.drain import Drain
from reconciler.steps.restore_slots import is_poisoned
from reconciler.steps.save_slots import REPLACED, UNCOUNTED, SaveSlots, out_of_reach
from reconciler.steps.stop import Stop


def stop_recipe(change: StopChange, wanted: Slice, observed: Observed) -> Recipe:
    """Drain, save and stop of one unit, as far as it has anything to lose."""
    model = wanted.model(change.model)
    unseen = _unseen(model, change, wanted, observed)
    if unseen is not None:
        return unseen
    keeps, why_not = _keeps(model, change, observed)
    stop = Stop(
        host=change.host,
        model=change.model,
        port=_port(change, wanted, observed),
        keeps=keeps,
        identity=change.identity,
    )
    if keeps:
        return _with_save(stop, change, wanted, observed)
    return _without_save(stop, why_not, model, change, observed)


def _without_save(
    stop: Stop, why_not: str, model: ModelSpec | None, change: StopChange, observed: Observed
) -> Recipe:
    name, lost = change.model, _lost(change, observed)
    notes = (f"{name}: conversations end here: {why_not}",) if why_not else ()
    required = bool(why_not and lost != 0 and _requires(model))
    refusals = (f"{name} has `conversations: require`, but {why_not}",) if required else ()
    activity = observed.value(ACTIVITY(change.host, name))
    drain = (_drain(change, activity),) if _is_ready(observed, change.host, name) else ()
    last = StepDraft(stop, change.cause, after=(("drain", name),))
    return Recipe((*drain, last), notes, refusals, lost)


def _with_save(stop: Stop, change: StopChange, wanted: Slice, observed: Observed) -> Recipe:
    name, activity = change.model, observed.value(ACTIVITY(change.host, change.model))
    save = _save(change, wanted, observed)
    short = shortage(save, observed)
    stop = stop.model_copy(update={"unsavable": short.conversations})
    refused = save.required and bool(short.conversations)
    return Recipe(
        (
            _drain(change, activity),
            StepDraft(save, change.cause, _held(activity), after=(("drain", name),)),
            StepDraft(stop, change.cause, after=(("save_slots", name),)),
        ),
        (*_set_aside(save, observed), *_not_saved(save, short), *_in_use(save, activity)),
        (f"{name} has `conversations: require`, but {short.because}",) if refused else (),
        lost_conversations=short.conversations if activity else None,
    )


def _save(change: StopChange, wanted: Slice, observed: Observed) -> SaveSlots:
    return SaveSlots(
        host=change.host,
        model=change.model,
        deadline=_save_deadline(change, observed),
        required=_requires(wanted.model(change.model)),
        # A unit of an older definition is saved under what it carries, not under what the file
        # says now (ADR 0013).
        fingerprint=_fingerprint_of_its_own(change, wanted, observed),
    )


def _requires(model: ModelSpec | None) -> bool:
    return model is not None and model.conversations == "require"


def _not_saved(save: SaveSlots, short: Shortage) -> tuple[str, ...]:
    """For how many conversations there is no room, unless that refuses the plan."""
    if save.required or not short.conversations:
        return ()
    count = counted(short.conversations, "conversation")
    return (f"{save.model}: {count} cannot be saved: {short.because}",)


def _in_use(save: SaveSlots, activity: Activity | None) -> tuple[str, ...]:
    """What becomes of a conversation whose client does not end while it is waited for."""
    if activity is None or not activity.in_flight:
        return ()
    ends = "nothing is stopped" if save.required else "that conversation is lost"
    seconds = Drain.model_fields["deadline"].default
    return (f"{save.model}: where a client is not done within {seconds:.0f} s, {ends}",)


def _unseen(
    model: ModelSpec | None, change: StopChange, wanted: Slice, observed: Observed
) -> Recipe | None:
    """How a unit ends that lives and lets nobody look into it, None for all others."""
    health = observed.value(HEALTH(change.host, change.model))
    if model is None or health is None or not _is_closed(change, health, observed):
        return None
    stop = Stop(
        host=change.host,
        model=change.model,
        port=_port(change, wanted, observed),
        identity=change.identity,
    )
    drafts, lost = (StepDraft(stop, change.cause),), _lost(change, observed)
    # It may be serving clients: that it cannot be looked into is no reason to stop it, a person's
    # word is (ADR 0018).
    if model.conversations == "drop":
        note = f"{model.name} is stopped unseen, whatever it is doing: {health.message}"
        return Recipe(drafts, (note,), (), lost)
    refusal = (
        f"{model.name} runs, and what it is doing cannot be seen: {health.message}; or write"
        f" `conversations: drop` at {model.name}, and it is stopped unseen"
    )
    return Recipe(drafts, (), (refusal,), lost)


def _is_closed(change: StopChange, health: Health, observed: Observed) -> bool:
    unit = observed.value(UNIT(change.host, change.model))
    if unit is None or not unit.leader or not health.is_closed:
        return False
    # What a run has just started, and cannot be understood, has failed to start (ADR 0018).
    return not (change.unproven and health.phase == "unclear")


def _fingerprint_of_its_own(change: StopChange, wanted: Slice, observed: Observed) -> str:
    """What conversations depend on in a unit of an older definition, empty for all others."""
    unit, model = observed.value(UNIT(change.host, change.model)), wanted.model(change.model)
    return unit.mark.fingerprint_apart(model.digest) if unit and model else ""


def _set_aside(save: SaveSlots, observed: Observed) -> tuple[str, ...]:
    """That what is saved of another definition does not fit the one that is wanted."""
    wanted = observed.value(FINGERPRINT(save.host, save.model))
    if not save.fingerprint or (wanted is not None and wanted.digest == save.fingerprint):
        return ()
    note = (
        f"{save.model}: its conversations fit only the definition that it runs with; saved,"
        " they come back with that one"
    )
    return (note,)


def _port(change: StopChange, wanted: Slice, observed: Observed) -> int | None:
    unit = observed.value(UNIT(change.host, change.model))
    # A definition that moved its model to another port did not move the unit.
    if unit is not None and unit.mark.port:
        return unit.mark.port
    model = wanted.model(change.model)
    return model.port if model else change.port


def _held(activity: Activity | None) -> str:
    """What a person should know of what an engine remembers."""
    if activity is None:
        return "what it remembers is not known"
    holding = [slot for slot in activity.slots if slot.holds_conversation]
    if not holding:
        return "no slot holds a conversation"
    verb = "holds" if len(holding) == 1 else "hold"
    tokens = sum(slot.tokens or 0 for slot in holding)
    return f"{counted(len(holding), 'slot')} {verb} {tokens:,} tokens"


def _drain(change: StopChange, activity: Activity | None) -> StepDraft:
    in_flight = activity.in_flight if activity else 0
    note = f"{counted(in_flight, 'request')} in flight" if in_flight else ""
    return StepDraft(Drain(host=change.host, model=change.model), change.cause, note)


def _lost(change: StopChange, observed: Observed) -> int | None:
    """How many conversations end with a unit, None when that is not known."""
    health = observed.value(HEALTH(change.host, change.model))
    # An engine that sleeps or loads remembers nothing.
    if health is not None and health.phase in {"sleeping", "loading"}:
        return 0
    activity = observed.value(ACTIVITY(change.host, change.model))
    if activity is None or activity.uncounted:
        return None
    return sum(slot.holds_conversation for slot in activity.slots)


def _is_ready(observed: Observed, host: str, model_name: str) -> bool:
    health = observed.value(HEALTH(host, model_name))
    return health is not None and health.tells


def _keeps(model: ModelSpec | None, change: StopChange, observed: Observed) -> tuple[bool, str]:
    """Whether conversations can be saved before a stop, and if not, why that is worth saying."""
    if model is None:
        return False, "its definition is gone"
    if not model.keeps_conversations:
        return False, ""
    health = observed.value(HEALTH(change.host, change.model))
    if why_not := _ill(health, change, observed):
        return False, why_not
    if health is not None and health.phase in {"sleeping", "loading"}:
        return False, ""
    unit = observed.value(UNIT(change.host, change.model))
    if unit is not None and unit.mark.digest != model.digest:
        why_not = out_of_reach(unit, observed.value(FINGERPRINT(change.host, change.model)))
    else:
        why_not = _unable(change, observed) or _replaced(change, unit, observed)
    return not why_not, why_not


def _ill(health: Health | None, change: StopChange, observed: Observed) -> str:
    """Why an engine cannot be asked to save anything, empty where it can."""
    if health is None or not health.lives:
        return f"the engine does not answer ({health.message if health else 'not seen'})"
    if health.phase == "unclear":
        return f"the engine does not work ({health.message})"
    unit = observed.value(UNIT(change.host, change.model))
    if unit is not None and not unit.leader:
        return "it died and left processes behind"
    poisoned = is_poisoned(observed, change.host, change.model)
    return "a failed restore may have left it damaged" if poisoned else ""


def _unable(change: StopChange, observed: Observed) -> str:
    """Why nothing of this model, or of any on its server, can ever come back."""
    weights = observed.value(WEIGHTS(change.host, change.model))
    if weights is not None and not weights.keepable:
        return f"{weights.architecture or 'this model'} cannot restore them{remedy(weights)}"
    activity = observed.value(ACTIVITY(change.host, change.model))
    return UNCOUNTED if activity and activity.uncounted else ""


def _replaced(change: StopChange, unit: Unit | None, observed: Observed) -> str:
    """That a file which a saved conversation would depend on is gone, or was replaced."""
    weights = observed.value(WEIGHTS(change.host, change.model))
    if weights is not None and not weights.exists:
        return f"its weights are gone ({weights.path})"
    binary = observed.value(BINARY(change.host, change.model))
    if binary is not None and binary.problem:
        return binary.problem
    fingerprint = observed.value(FINGERPRINT(change.host, change.model))
    if unit is None or fingerprint is None:
        return ""
    return "" if fingerprint.fits(unit) else REPLACED


def remedy(weights: Weights) -> str:
    """What would make conversations with these weights come back, as the end of a sentence."""
    return f"; {weights.remedy}" if weights.remedy else ""


def _save_deadline(change: StopChange, observed: Observed) -> float:
    weights = observed.value(WEIGHTS(change.host, change.model))
    activity = observed.value(ACTIVITY(change.host, change.model)) or Activity()
    per_token = weights.kv_bytes_per_token if weights else 0
    tokens = sum(slot.tokens or 0 for slot in activity.slots if slot.holds_conversation)
    return SAVE_ALLOWANCE + 2 * tokens * per_token / SLOWEST_SAVE
