"""How a unit is stopped: drained, saved, and ended; and which of its conversations are not kept."""

from __future__ import annotations

from reconciler.core.conversations import outgrown
from reconciler.core.phrases import counted
from reconciler.core.recipes.draft import SAVE_ALLOWANCE, SLOWEST_SAVE, Recipe, StepDraft, joined
from reconciler.core.room import Shortage, shortage
from reconciler.model.change import StopChange
from reconciler.model.facts import Activity, Health, Unit, Weights
from reconciler.model.observed import Observed
from reconciler.model.place import Door
from reconciler.model.sight import ModelSight
from reconciler.model.spec import ModelSpec, Slice
from reconciler.steps.drain import Drain
from reconciler.steps.restore_slots import is_poisoned
from reconciler.steps.save_slots import REPLACED, UNCOUNTED, SaveSlots, out_of_reach
from reconciler.steps.stop import Stop


def stop_recipe(change: StopChange, wanted: Slice, observed: Observed) -> Recipe:
    """Drain, save and stop of one unit, as far as it has anything to lose."""
    model, seen = wanted.model(change.model), ModelSight(observed, change.host, change.model)
    returns = seen.unit.returns if seen.unit else ""
    notes = (f"{change.model}: {returns}",) if returns else ()
    return joined((_ended(change, model, seen), Recipe((), notes)))


def _ended(change: StopChange, model: ModelSpec | None, seen: ModelSight) -> Recipe:
    stop = Stop(
        host=change.host,
        model=change.model,
        port=_port(change, model, seen.unit),
        identity=change.identity,
    )
    if model is not None and seen.health is not None and _is_closed(change, seen.health, seen.unit):
        return _unseen(stop, model, seen.health, change, seen)
    keeps, why_not = _keeps(model, seen)
    if keeps:
        return _with_save(stop, model, change, seen)
    return _without_save(stop, why_not, model, change, seen)


def _without_save(
    stop: Stop, why_not: str, model: ModelSpec | None, change: StopChange, seen: ModelSight
) -> Recipe:
    name, lost = change.model, _lost(seen)
    notes = (f"{name}: conversations end here: {why_not}",) if why_not else ()
    required = bool(why_not and lost != 0 and _requires(model))
    refusals = (f"{name} has `conversations: require`, but {why_not}",) if required else ()
    is_ready = seen.health is not None and seen.health.tells
    drain = (_drain(change, seen.activity),) if is_ready else ()
    last = StepDraft(stop, change.cause, after=(("drain", name),))
    return Recipe((*drain, last), notes, refusals, lost)


def _with_save(stop: Stop, model: ModelSpec | None, change: StopChange, seen: ModelSight) -> Recipe:
    name, activity = change.model, seen.activity
    save = _save(model, seen)
    short = shortage(save, seen.world)
    stop = stop.model_copy(update={"keeps": True, "unsavable": short.conversations})
    refused = save.required and bool(short.conversations)
    return Recipe(
        (
            _drain(change, activity),
            StepDraft(save, change.cause, _held(activity), after=(("drain", name),)),
            StepDraft(stop, change.cause, after=(("save_slots", name),)),
        ),
        (*_set_aside(save, seen), *_not_saved(save, short), *_in_use(save, activity)),
        (f"{name} has `conversations: require`, but {short.because}",) if refused else (),
        lost_conversations=short.conversations if activity else None,
    )


def _save(model: ModelSpec | None, seen: ModelSight) -> SaveSlots:
    return SaveSlots(
        host=seen.host,
        model=seen.model,
        deadline=_save_deadline(seen),
        required=_requires(model),
        # A unit of an older definition is saved under what it carries, not under what the file
        # says now (ADR 0013).
        fingerprint=_fingerprint_of_its_own(model, seen.unit),
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
    stop: Stop, model: ModelSpec, health: Health, change: StopChange, seen: ModelSight
) -> Recipe:
    """How a unit ends that lives and cannot be looked into."""
    drafts, lost = (StepDraft(stop, change.cause),), _lost(seen)
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


def _is_closed(change: StopChange, health: Health, unit: Unit | None) -> bool:
    """Whether a unit lives and lets nothing look into it."""
    if unit is None or not unit.leader or not health.is_closed:
        return False
    # What a run has just started, and cannot be understood, has failed to start (ADR 0018).
    return not (change.unproven and health.phase == "unclear")


def _fingerprint_of_its_own(model: ModelSpec | None, unit: Unit | None) -> str:
    """What conversations depend on in a unit of an older definition, empty for all others."""
    return unit.mark.fingerprint_apart(model.digest) if unit and model else ""


def _set_aside(save: SaveSlots, seen: ModelSight) -> tuple[str, ...]:
    """What is saved and does not fit the definition that is wanted."""
    wanted = seen.fingerprint
    if not save.fingerprint or (wanted is not None and wanted.digest == save.fingerprint):
        return outgrown(seen)
    note = (
        f"{save.model}: its conversations fit only the definition that it runs with; saved,"
        " they come back with that one"
    )
    return (note,)


def _port(change: StopChange, model: ModelSpec | None, unit: Unit | None) -> Door | None:
    # A definition that moved its model to another port did not move the unit.
    port = unit.mark.port if unit is not None else None
    return model.door_at(port) if model else port or change.port


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


def _lost(seen: ModelSight) -> int | None:
    """How many conversations end with a unit, None when that is not known."""
    # An engine that sleeps or loads remembers nothing.
    if seen.health is not None and seen.health.phase in {"sleeping", "loading"}:
        return 0
    activity = seen.activity
    if activity is None or activity.uncounted:
        return None
    return sum(slot.holds_conversation for slot in activity.slots)


def _keeps(model: ModelSpec | None, seen: ModelSight) -> tuple[bool, str]:
    """Whether conversations can be saved before a stop, and if not, why that is worth saying."""
    if model is None:
        return False, "its definition is gone"
    if not model.keeps_conversations:
        return False, ""
    if why_not := _ill(seen):
        return False, why_not
    if seen.health is not None and seen.health.phase in {"sleeping", "loading"}:
        return False, ""
    unit = seen.unit
    if unit is not None and unit.mark.digest != model.digest:
        why_not = out_of_reach(unit, seen.fingerprint)
    else:
        why_not = _unable(seen) or _replaced(seen)
    return not why_not, why_not


def _ill(seen: ModelSight) -> str:
    """Why an engine cannot be asked to save anything, empty where it can."""
    health, unit = seen.health, seen.unit
    if health is None or not health.lives:
        return f"the engine does not answer ({health.message if health else 'not seen'})"
    if health.phase == "unclear":
        return f"the engine does not work ({health.message})"
    if unit is not None and not unit.leader:
        return "it died and left processes behind"
    return "a failed restore may have left it damaged" if is_poisoned(seen) else ""


def _unable(seen: ModelSight) -> str:
    """Why nothing of this model, or of any on its server, can ever come back."""
    weights, activity = seen.weights, seen.activity
    if weights is not None and not weights.keepable:
        why = weights.unkept or f"{weights.architecture or 'this model'} cannot restore them"
        return f"{why}{remedy(weights)}"
    return UNCOUNTED if activity and activity.uncounted else ""


def _replaced(seen: ModelSight) -> str:
    """That a file which a saved conversation would depend on is gone, or was replaced."""
    if seen.weights is not None and not seen.weights.exists:
        return f"its weights are gone ({seen.weights.path})"
    if seen.binary is not None and seen.binary.problem:
        return seen.binary.problem
    if seen.unit is None or seen.fingerprint is None:
        return ""
    return "" if seen.fingerprint.fits(seen.unit) else REPLACED


def remedy(weights: Weights) -> str:
    """What would make conversations with these weights come back, as the end of a sentence."""
    return f"; {weights.remedy}" if weights.remedy else ""


def _save_deadline(seen: ModelSight) -> float:
    per_token = seen.weights.kv_bytes_per_token if seen.weights else 0
    slots = seen.activity.slots if seen.activity else ()
    tokens = sum(slot.tokens or 0 for slot in slots if slot.holds_conversation)
    return SAVE_ALLOWANCE + 2 * tokens * per_token / SLOWEST_SAVE
