"""Diff: the differences between a slice and what was observed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from reconciler.core import restarting
from reconciler.core.admission import admissions
from reconciler.core.canonical import digest
from reconciler.core.causes import start_cause, stop_cause, waking_cause
from reconciler.core.power_change import GOING_DOWN, SILENT, power_change
from reconciler.core.recovery import Hints
from reconciler.core.unseen import Switch, Unseen
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
    HEALTH,
    ORPHANS,
    PORT,
    PREPARED,
    UNIT,
    Observed,
)
from reconciler.model.place import Door
from reconciler.model.preparation import Prepared
from reconciler.model.sight import ModelSight
from reconciler.model.spec import ModelSpec, Slice
from reconciler.steps.restore_slots import is_poisoned, owed_slots
from reconciler.steps.save_slots import REPLACED

DIGEST_VERSION = "v1:"


@dataclass(frozen=True)
class Difference:
    """What must change, and beside it what is not known and what no step can change (`unmet`).

    What is not known stands in the way of all changes; beside what is `unseen` they go on.
    """

    changes: tuple[Change, ...] = ()
    unknown: tuple[Unseen, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    unmet: tuple[str, ...] = ()

    @property
    def stops(self) -> set[str]:
        """The models of which a unit stops."""
        return {change.model for change in self.changes if isinstance(change, StopChange)}

    @property
    def starts(self) -> set[str]:
        """The models that start."""
        return {change.model for change in self.changes if isinstance(change, StartChange)}

    @property
    def ignored(self) -> tuple[Ignored, ...]:
        """What is seen and left alone."""
        return tuple(change for change in self.changes if isinstance(change, Ignored))


def diff(wanted: Slice, observed: Observed, hints: Hints, *, prune: bool = False) -> Difference:
    """Every difference between a slice and the world, in a stable order."""
    power = power_change(wanted, observed, hints)
    if isinstance(power, str):
        return Difference(unknown=(Unseen(power),))
    if isinstance(power, Ignored):
        return Difference((power,))
    asleep = _is_asleep(wanted, observed, power)
    models = _asleep(wanted, hints) if asleep else _awake(wanted, observed, hints, prune=prune)
    return _joined(
        (
            Difference((power,) if power else ()),
            _preparation(wanted, observed, asleep=asleep),
            models,
            Difference(admissions(wanted, observed, models.changes)),
        )
    )


def _is_asleep(wanted: Slice, observed: Observed, power: PowerChange | None) -> bool:
    if power is not None and power.have in {SILENT, GOING_DOWN}:
        return True
    return observed.power(wanted.host.name) in {"off", "suspended"}


def _asleep(wanted: Slice, hints: Hints) -> Difference:
    return _joined(_when_asleep(wanted, model, hints) for model in _by_name(wanted))


def _awake(wanted: Slice, observed: Observed, hints: Hints, *, prune: bool) -> Difference:
    models = _joined(_of_model(wanted, model, observed, hints) for model in _by_name(wanted))
    orphans = _of_orphans(wanted, observed, models, prune=prune)
    found = _joined((models, orphans))
    switch = Switch(wanted, hints, found.stops, found.starts)
    unseen = tuple(one for one in found.unknown if switch.goes_on_beside(one, observed))
    unknown = tuple(one for one in found.unknown if one not in unseen)
    unmet = _unmet(wanted, observed, found)
    return replace(found, unknown=unknown, unseen=unseen, unmet=unmet)


def _by_name(wanted: Slice) -> list[ModelSpec]:
    return sorted(wanted.models, key=lambda model: model.name)


def _joined(parts: Iterable[Difference]) -> Difference:
    known = tuple(parts)
    return Difference(
        tuple(change for part in known for change in part.changes),
        tuple(reason for part in known for reason in part.unknown),
        tuple(reason for part in known for reason in part.unseen),
        tuple(complaint for part in known for complaint in part.unmet),
    )


def _preparation(wanted: Slice, observed: Observed, *, asleep: bool) -> Difference:
    """That a host must be prepared for its work, or why it is not known whether it is."""
    key, preparation = PREPARED(wanted.host.name), wanted.host.prepare
    if preparation is None or not _should_work(wanted, asleep=asleep):
        return Difference()
    missing = None if asleep else observed.unknown(key)
    if missing is not None:
        return Difference(unknown=(Unseen(missing.reason, key),))
    prepared = (None if asleep else observed.value(key)) or Prepared()
    want = digest(preparation)
    if prepared.digest == want:
        return Difference()
    cause = "host wakes" if asleep else _preparation_cause(prepared)
    seconds = preparation.seconds
    return Difference((PrepareChange(host=key.host, digest=want, seconds=seconds, cause=cause),))


def _should_work(wanted: Slice, *, asleep: bool) -> bool:
    if wanted.power is None:
        return wanted.active is not None and not asleep
    return wanted.power == "on"


def _preparation_cause(prepared: Prepared) -> str:
    return "its preparation changed" if prepared.digest else "not prepared since it came up"


def _should_run(wanted: Slice, model: ModelSpec) -> bool | None:
    """Whether a model should run, None when that is not managed."""
    if wanted.power in {"off", "suspend"}:
        return False
    return None if wanted.active is None else model.name in wanted.active


def _when_asleep(wanted: Slice, model: ModelSpec, hints: Hints) -> Difference:
    host = wanted.host
    if not _should_run(wanted, model):
        return Difference()
    if wanted.power != "on":
        cause = f"waits until {host.name} is on; nothing wakes it by itself"
        return Difference((Ignored(host=host.name, subject=f"model {model.name}", cause=cause),))
    if not host.capabilities.can_wake:
        return Difference()
    cause = waking_cause(model, hints)
    return Difference((StartChange(host=host.name, model=model.name, cause=cause),))


def _of_model(wanted: Slice, model: ModelSpec, observed: Observed, hints: Hints) -> Difference:
    key = UNIT(wanted.host.name, model.name)
    missing = observed.unknown(key)
    if missing is not None:
        return Difference(unknown=(Unseen(missing.reason, key),))
    should_run = _should_run(wanted, model)
    unit = observed.value(key)
    if should_run is None or (unit is None and not should_run):
        return Difference()
    if unit is None:
        cause = start_cause(wanted, model, observed, hints)
        return Difference((StartChange(host=key.host, model=model.name, cause=cause),))
    if not should_run:
        return Difference((_stop(key.host, unit, model, hints, stop_cause(wanted, model, hints)),))
    seen = ModelSight(observed, key.host, model.name)
    return Difference(tuple(_kept_or_replaced(model, unit, seen, hints)))


def _stop(host: str, unit: Unit, model: ModelSpec, hints: Hints, cause: str) -> StopChange:
    return StopChange(
        host=host,
        model=model.name,
        identity=unit.identity,
        cause=cause,
        unproven=model.name in hints.unproven,
    )


def _kept_or_replaced(
    model: ModelSpec, unit: Unit, seen: ModelSight, hints: Hints
) -> Iterator[Change]:
    is_due = restarting.is_due(hints.restarts, model.name, unit)
    if cause := _replacement_cause(model, unit, seen) or (restarting.CAUSE if is_due else ""):
        yield _stop(seen.host, unit, model, hints, cause)
        yield StartChange(host=seen.host, model=model.name, cause=cause)
    else:
        yield from _running_changes(model, unit, seen, hints)


def _unmet(wanted: Slice, observed: Observed, found: Difference) -> tuple[str, ...]:
    """What is wrong with units that stay as they are: they answer, so they are never stopped."""
    host = wanted.host.name
    running = {model.name for model in wanted.models if _should_run(wanted, model)}
    names = sorted(running - found.stops)
    healths = {name: observed.value(HEALTH(host, name)) for name in names}
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


def _replacement_cause(model: ModelSpec, unit: Unit, seen: ModelSight) -> str:
    """Why a running unit must be replaced, empty when it may stay."""
    if not unit.leader:
        return unit.ended or "it died and left processes behind"
    if unit.launcher.kind != model.launcher.kind:
        return f"its launcher changed from {unit.launcher.kind} to {model.launcher.kind}"
    # A digest that another version made cannot be compared: an upgrade restarts nothing.
    if unit.mark.digest != model.digest and unit.mark.digest.startswith(DIGEST_VERSION):
        return "its definition changed"
    if seen.health is not None and (silence := _silence(seen.health)):
        return silence
    return "a failed restore may have left it damaged" if is_poisoned(seen) else ""


def _silence(health: Health) -> str:
    # Silence, or another process on its port: any answer of its own proves that it lives, and keeps
    # it (ADR 0018).
    if health.phase == "unresponsive":
        return f"it does not answer: {health.message}"
    if health.phase == "stranger":
        return f"its port is not its own: {health.message}"
    return ""


def _running_changes(
    model: ModelSpec, unit: Unit, seen: ModelSight, hints: Hints
) -> Iterator[Change]:
    host = seen.host
    for cause in _tolerated(model, unit, seen):
        yield Ignored(host=host, subject=f"unit {model.name}", cause=cause)
    if cause := _unproven_cause(model, seen.health, hints):
        yield ProveChange(host=host, model=model.name, cause=cause)
    if model.keeps_conversations and owed_slots(seen):
        yield RestoreChange(host=host, model=model.name, cause="a saved conversation is owed to it")


def _tolerated(model: ModelSpec, unit: Unit, seen: ModelSight) -> Iterator[str]:
    """What a person should know of a unit that goes on as it is."""
    version = unit.mark.digest.partition(":")[0]
    if not unit.mark.digest.startswith(DIGEST_VERSION):
        yield f"its mark is of another version ({version}): adopted as it is"
    yield from unit.notes
    fingerprint = seen.fingerprint
    if model.keeps_conversations and fingerprint is not None and not fingerprint.fits(unit):
        yield f"{REPLACED}; conversations cannot be kept until it is started again"
    if seen.health is not None:
        yield from _said_by(seen.health)


def _said_by(health: Health) -> Iterator[str]:
    yield from health.notes
    if health.phase == "locked":
        yield f"runs, and does not let us look: {health.message}"


def _unproven_cause(model: ModelSpec, health: Health | None, hints: Hints) -> str:
    if health is not None and health.phase == "loading":
        return "it is still loading"
    return "it has not shown yet that it works" if model.name in hints.unproven else ""


def _of_orphans(
    wanted: Slice, observed: Observed, models: Difference, *, prune: bool
) -> Difference:
    """What becomes of units that are in no inventory, beside what becomes of the models."""
    key = ORPHANS(wanted.host.name)
    missing = observed.unknown(key)
    all_end = prune or wanted.power in {"off", "suspend"}
    if missing:
        return Difference(unknown=(Unseen(missing.reason, key),) if all_end else ())
    ports = [model.door for model in wanted.models if model.name in models.starts]
    needed = partial(_needed, ports, key.host, observed)
    orphans = sorted(observed.value(key) or (), key=_by_mark)
    return Difference(
        tuple(_orphan_change(key.host, unit, needed(unit), end=all_end) for unit in orphans)
    )


def _by_mark(unit: Unit) -> tuple[str, int]:
    return unit.mark.model, unit.identity.pid


def _orphan_change(host: str, unit: Unit, port: Door | None, *, end: bool) -> Change:
    """The end of an orphan, where all of them end or its port is needed; else it is left alone."""
    if not end and port is None:
        cause = (
            f"runs (pid {unit.identity.pid}) and is in no inventory; `reconciler apply --prune`"
            " stops it"
        )
        return Ignored(host=host, subject=f"unit {unit.mark.model}", cause=cause)
    cause = "it is in no inventory" if end else "it is in no inventory and its port is needed"
    return StopChange(
        host=host, model=unit.mark.model, identity=unit.identity, cause=cause, port=port
    )


def _needed(ports: Iterable[Door], host: str, observed: Observed, unit: Unit) -> Door | None:
    """The first of these ports that a unit listens on."""
    listens = (port for port in ports if _listens(observed, host, port, unit.mark.model))
    return next(listens, None)


def _listens(observed: Observed, host: str, port: Door, model_name: str) -> bool:
    state = observed.value(PORT(host, port))
    return state is not None and state.owner is not None and state.owner.model == model_name
