"""Diff: the differences between a slice and what was observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.core.canonical import digest
from reconciler.core.power import stayed_up
from reconciler.core.recovery import Hints
from reconciler.model.change import (
    Change,
    Ignored,
    PowerChange,
    PrepareChange,
    ProveChange,
    RestoreChange,
    StartChange,
    StopChange,
)
from reconciler.model.facts import Health, Unit
from reconciler.model.observed import (
    CONTACT,
    FINGERPRINT,
    HEALTH,
    ORPHANS,
    PORT,
    POWER,
    PREPARED,
    UNIT,
    Observed,
)
from reconciler.model.power import PowerState
from reconciler.model.preparation import Prepared
from reconciler.model.spec import ModelSpec, Slice, WantedPower
from reconciler.steps.restore_slots import is_poisoned, owed_slots
from reconciler.steps.save_slots import REPLACED

DIGEST_VERSION = "v1:"
POWER_STATES: Mapping[WantedPower, PowerState] = {"on": "on", "off": "off", "suspend": "suspended"}
"""What a host is once a wish for its power is fulfilled."""

NOBODY_TELLS = (
    "nothing says that it is off: name a witness under `proof:`, or switch it on, and it is shut"
    " down from there"
)

SILENT, GOING_DOWN = "silent", "going down"
"""What a host has of power that does not answer, and one that has accepted to go down and may still
answer."""


@dataclass(frozen=True)
class Difference:
    """What must change, the facts that could not be compared because they are unknown, and what no step can change (`unmet`)."""

    changes: tuple[Change, ...]
    unknown: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()


def diff(wanted: Slice, observed: Observed, hints: Hints, *, prune: bool = False) -> Difference:
    """Return every difference between a slice and the world, in a stable order."""
    host = wanted.host.name
    power = _power(wanted, observed, hints)
    if isinstance(power, str):
        return Difference((), (power,))
    if isinstance(power, Ignored):
        return Difference((power,))
    asleep = observed.power(host) in {"off", "suspended"} or bool(
        power and power.have in {SILENT, GOING_DOWN}
    )
    preparation = _preparation(wanted, observed, asleep=asleep)
    unknown = [preparation] if isinstance(preparation, str) else []
    changes: list[Change] = [
        change for change in (power, preparation) if change and not isinstance(change, str)
    ]
    for model in sorted(wanted.models, key=lambda model: model.name):
        if asleep:
            changes += _when_asleep(wanted, model)
            continue
        missing = observed.unknown(UNIT(host, model.name))
        if missing is not None:
            unknown.append(f"{UNIT(host, model.name)}: {missing.reason}")
            continue
        changes += _model_changes(wanted, model, observed, hints)
    if not asleep:
        unknown += _unseen_orphans(wanted, observed, prune=prune)
        changes += _orphan_changes(wanted, observed, changes, prune=prune)
    return Difference(
        tuple(changes), tuple(unknown), () if asleep else _unmet(wanted, observed, changes)
    )


def _power(wanted: Slice, observed: Observed, hints: Hints) -> PowerChange | Ignored | str | None:
    """Return how the power of a host differs, why that is left alone, or why nobody can say."""
    host, have = wanted.host.name, observed.power(wanted.host.name)
    answers = observed.unknown(CONTACT(host)) is None
    hidden = have is None or (have == "on" and not answers)
    # To wake what is on already does no harm, so silence is enough; to call a host off takes
    # evidence (ADR 0009).
    if wanted.power == "on" and wanted.host.capabilities.can_wake and hidden:
        return PowerChange(host=host, have=GOING_DOWN if answers else SILENT, want="on")
    going = _shutting_down_to(hints)
    # An accepted request is waited for and not repeated: a second one could meet the next boot (ADR
    # 0009).
    if (
        wanted.power is not None
        and hidden
        and going is not None
        and _satisfies(wanted.power, going)
    ):
        return PowerChange(host=host, have=GOING_DOWN, want=going)
    if have is None:
        return _power_unknown_reason(wanted, observed, hints)
    if wanted.power is None or _satisfies(wanted.power, have):
        return None
    if have == "on" and not wanted.enforce and _was_reached(wanted, observed, hints):
        cause = (
            "somebody switched it on; it stays on until `power` in the file changes, or `enforce:"
            " true` stands beside it"
        )
        return Ignored(host=host, subject="power", cause=cause)
    return PowerChange(host=host, have=have, want=POWER_STATES[wanted.power])


def _power_unknown_reason(wanted: Slice, observed: Observed, hints: Hints) -> str:
    """Return why the power of a host is not known."""
    key = POWER(wanted.host.name)
    unknown = observed.unknown(key)
    reason = f"{key}: {unknown.reason if unknown else 'not known'}"
    told = (
        wanted.power in {None, "on"}
        or hints.sent_down is not None
        or wanted.host.capabilities.can_testify
    )
    return reason if told else f"{reason}; {NOBODY_TELLS}"


def _shutting_down_to(hints: Hints) -> PowerState | None:
    """Return the state that a host has accepted to go to, None where it did not or was seen in it since."""
    sent = hints.sent_down
    return sent.state if sent is not None and sent.is_heard and not sent.seen else None


def _satisfies(wanted: WantedPower, have: PowerState) -> bool:
    """Return whether a host in this state is as wanted; what is off need not be woken to sleep."""
    return have == POWER_STATES[wanted] or (wanted == "suspend" and have == "off")


def _was_reached(wanted: Slice, observed: Observed, hints: Hints) -> bool:
    """Return whether this very wish was fulfilled before and is the newest: what is otherwise now was done by somebody else."""
    if stayed_up(hints.sent_down, observed.value(CONTACT(wanted.host.name))):
        return False
    return (
        hints.wanted_digest is not None
        and hints.wanted_digest == hints.last_good_digest == digest(wanted)
    )


def _preparation(wanted: Slice, observed: Observed, *, asleep: bool) -> PrepareChange | str | None:
    """Return that a host is to be prepared for its work, or why nobody can say whether it is."""
    key, preparation = PREPARED(wanted.host.name), wanted.host.prepare
    works = wanted.power == "on" or (
        wanted.power is None and wanted.active is not None and not asleep
    )
    if preparation is None or not works:
        return None
    missing = None if asleep else observed.unknown(key)
    if missing is not None:
        return f"{key}: {missing.reason}"
    prepared = (None if asleep else observed.value(key)) or Prepared()
    want = digest(preparation)
    if prepared.digest == want:
        return None
    cause = (
        "host wakes"
        if asleep
        else "its preparation changed"
        if prepared.digest
        else "not prepared since it came up"
    )
    return PrepareChange(host=key.host, digest=want, seconds=preparation.seconds, cause=cause)


def _should_run(wanted: Slice, model: ModelSpec) -> bool | None:
    """Return whether a model should run, None when that is not managed."""
    if wanted.power in {"off", "suspend"}:
        return False
    return None if wanted.active is None else model.name in wanted.active


def _when_asleep(wanted: Slice, model: ModelSpec) -> list[Change]:
    host = wanted.host
    if not _should_run(wanted, model):
        return []
    if wanted.power == "on":
        return (
            [StartChange(host=host.name, model=model.name, cause="host wakes")]
            if host.capabilities.can_wake
            else []
        )
    cause = f"waits until {host.name} is on; its power is not managed"
    return [Ignored(host=host.name, subject=f"model {model.name}", cause=cause)]


def _model_changes(
    wanted: Slice, model: ModelSpec, observed: Observed, hints: Hints
) -> list[Change]:
    host = wanted.host.name
    unit = observed.value(UNIT(host, model.name))
    should_run = _should_run(wanted, model)
    if should_run is None:
        return []
    if unit is None:
        return (
            [StartChange(host=host, model=model.name, cause=_start_cause(wanted, observed))]
            if should_run
            else []
        )
    cause = _replacement_cause(model, unit, observed, host) if should_run else _stop_cause(wanted)
    unproven = model.name in hints.unproven
    stop = StopChange(
        host=host, model=model.name, identity=unit.identity, cause=cause, unproven=unproven
    )
    if not should_run:
        return [stop]
    if cause:
        return [stop, StartChange(host=host, model=model.name, cause=cause)]
    return _running_changes(host, model, unit, observed, hints)


def _unmet(wanted: Slice, observed: Observed, changes: list[Change]) -> tuple[str, ...]:
    """Return what is wrong with units that are to go on as they are: they answer, so they are never stopped for it."""
    host = wanted.host.name
    stopped = {change.model for change in changes if isinstance(change, StopChange)}
    staying = [
        model.name
        for model in wanted.models
        if _should_run(wanted, model) and model.name not in stopped
    ]
    healths = {name: observed.value(HEALTH(host, name)) for name in sorted(staying)}
    return tuple(
        _complaint(name, health)
        for name, health in healths.items()
        if health and health.phase in {"other", "unclear"}
    )


def _complaint(model_name: str, health: Health) -> str:
    if health.phase == "other":
        return f"{model_name}: {health.reason}"
    look = (
        f"`reconciler logs {model_name}` may say why; nothing that answers is restarted by itself"
    )
    return f"{model_name} answers, but not as an engine that works: {health.message}; {look}"


def _stop_cause(wanted: Slice) -> str:
    if wanted.power in {"off", "suspend"}:
        return f"power should be {POWER_STATES[wanted.power]}"
    return "active model changes" if wanted.active else "no model should be active"


def _start_cause(wanted: Slice, observed: Observed) -> str:
    host = wanted.host.name
    others = (model.name for model in wanted.models if model.name not in (wanted.active or ()))
    runs = any(observed.value(UNIT(host, other)) is not None for other in others)
    return "active model changes" if runs else "not running"


def _replacement_cause(model: ModelSpec, unit: Unit, observed: Observed, host: str) -> str:
    """Return why a running unit must be replaced, empty when it may stay."""
    health = observed.value(HEALTH(host, model.name))
    if not unit.leader:
        return unit.ended or "it died and left processes behind"
    if unit.launcher.kind != model.launcher.kind:
        return f"its launcher changed from {unit.launcher.kind} to {model.launcher.kind}"
    # A digest that another version made cannot be compared: an upgrade restarts nothing.
    if unit.mark.digest != model.digest and unit.mark.digest.startswith(DIGEST_VERSION):
        return "its definition changed"
    # Silence, or another process on its port: any answer of its own proves that it lives, and keeps
    # it (ADR 0018).
    if health is not None and health.phase == "unresponsive":
        return f"it does not answer: {health.message}"
    if health is not None and health.phase == "stranger":
        return f"its port is not its own: {health.message}"
    return (
        "a failed restore may have left it damaged"
        if is_poisoned(observed, host, model.name)
        else ""
    )


def _running_changes(
    host: str, model: ModelSpec, unit: Unit, observed: Observed, hints: Hints
) -> list[Change]:
    health = observed.value(HEALTH(host, model.name))
    changes: list[Change] = []
    if not unit.mark.digest.startswith(DIGEST_VERSION):
        cause = (
            f"its mark is of another version ({unit.mark.digest.partition(':')[0]}): adopted as"
            " it is"
        )
        changes.append(Ignored(host=host, subject=f"unit {model.name}", cause=cause))
    fingerprint = observed.value(FINGERPRINT(host, model.name))
    if model.keeps_conversations and fingerprint is not None and not fingerprint.fits(unit):
        cause = f"{REPLACED}; conversations cannot be kept until it is started again"
        changes.append(Ignored(host=host, subject=f"unit {model.name}", cause=cause))
    changes += [
        Ignored(host=host, subject=f"unit {model.name}", cause=note)
        for note in (health.notes if health else ())
    ]
    if health is not None and health.phase == "locked":
        cause = f"runs, and does not let anybody look: {health.message}"
        changes.append(Ignored(host=host, subject=f"unit {model.name}", cause=cause))
    if health is not None and health.phase == "loading":
        changes.append(ProveChange(host=host, model=model.name, cause="it is still loading"))
    elif model.name in hints.unproven:
        changes.append(
            ProveChange(host=host, model=model.name, cause="it has not shown yet that it works")
        )
    if model.keeps_conversations and owed_slots(observed, host, model.name):
        changes.append(
            RestoreChange(host=host, model=model.name, cause="a saved conversation is owed to it")
        )
    return changes


def _unseen_orphans(wanted: Slice, observed: Observed, *, prune: bool) -> list[str]:
    """Return that nobody can say what else runs, where all of it is to be stopped."""
    key = ORPHANS(wanted.host.name)
    missing = observed.unknown(key)
    return (
        [f"{key}: {missing.reason}"]
        if missing and (prune or wanted.power in {"off", "suspend"})
        else []
    )


def _orphan_changes(
    wanted: Slice, observed: Observed, changes: list[Change], *, prune: bool
) -> list[Change]:
    host = wanted.host.name
    orphans = observed.fact(ORPHANS(host))
    units = getattr(orphans, "value", ())
    starting = {change.model for change in changes if isinstance(change, StartChange)}
    ports = [model.port for model in wanted.models if model.name in starting]
    found: list[Change] = []
    for unit in sorted(units, key=lambda unit: (unit.mark.model, unit.identity.pid)):
        name = unit.mark.model
        needed = next((port for port in ports if _listens(observed, host, port, name)), None)
        if prune or wanted.power in {"off", "suspend"}:
            found.append(_orphan_stop(host, unit, "it is in no inventory", needed))
        elif needed is not None:
            found.append(
                _orphan_stop(host, unit, "it is in no inventory and its port is needed", needed)
            )
        else:
            cause = (
                f"runs (pid {unit.identity.pid}) and is in no inventory; `reconciler apply --prune`"
                " stops it"
            )
            found.append(Ignored(host=host, subject=f"unit {name}", cause=cause))
    return found


def _orphan_stop(host: str, unit: Unit, cause: str, port: int | None) -> StopChange:
    return StopChange(
        host=host, model=unit.mark.model, identity=unit.identity, cause=cause, port=port
    )


def _listens(observed: Observed, host: str, port: int, model_name: str) -> bool:
    state = observed.value(PORT(host, port))
    return state is not None and state.owner is not None and state.owner.model == model_name
