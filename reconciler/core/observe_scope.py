"""The scope of a look: cheap facts always, and the costly ones only where they matter."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from reconciler.core import restarting
from reconciler.core.recovery import Hints
from reconciler.model.facts import Known, Unit
from reconciler.model.observed import (
    ACTIVITY,
    ADMITTING,
    BINARY,
    CLAIM,
    CONTACT,
    FINGERPRINT,
    FLAGS,
    GPU,
    GUARDS,
    HEALTH,
    ORPHANS,
    PORT,
    POWER,
    PREPARED,
    SAVED,
    TRAFFIC,
    UNIT,
    WEIGHTS,
    AnyFactKey,
    HostFact,
    ModelFact,
    Observed,
)
from reconciler.model.sight import ModelSight
from reconciler.model.spec import ModelSpec, Slice
from reconciler.steps.restore_slots import fitting_slots, is_decided, is_poisoned

HOST_FACTS: tuple[HostFact[Any], ...] = (CONTACT, POWER, CLAIM, GPU, ORPHANS)
ORPHAN_FACTS: tuple[ModelFact[Any], ...] = (UNIT, HEALTH)
UNIT_FACTS: tuple[ModelFact[Any], ...] = (UNIT, HEALTH)
FILE_FACTS: tuple[ModelFact[Any], ...] = (SAVED, WEIGHTS, BINARY, FINGERPRINT)
GATE_FACTS: tuple[ModelFact[Any], ...] = (ADMITTING, TRAFFIC)
"""What a gateway tells, where there is one."""


def cheap_facts(slice_: Slice, model_names: Collection[str]) -> tuple[AnyFactKey, ...]:
    """The facts that every pass reads: what runs of all models, and the files of those named."""
    host = slice_.host.name
    names = [model.name for model in slice_.models]
    with_files = [name for name in names if name in model_names]
    ports = sorted({model.door for model in slice_.models}, key=str)
    return (
        *(kind(host) for kind in HOST_FACTS),
        *((PREPARED(host),) if slice_.host.prepare else ()),
        *_of_models(host, names, (*UNIT_FACTS, *GATE_FACTS)),
        *_of_models(host, with_files, FILE_FACTS),
        *(PORT(host, port) for port in ports),
    )


def _of_models(
    host: str, names: Iterable[str], kinds: Sequence[ModelFact[Any]]
) -> Iterator[AnyFactKey]:
    return (kind(host, name) for name in names for kind in kinds)


def may_run(slice_: Slice, hints: Hints) -> tuple[str, ...]:
    """The models that may be started, also for requests, and those that ran before.

    What ran before may have to be saved.
    """
    before = hints.last_good.active if hints.last_good else None
    return (*(slice_.active or ()), *(before or ()), *hints.leases)


def found_facts(slice_: Slice, observed: Observed) -> tuple[AnyFactKey, ...]:
    """The files of models that turned out to run, and their ports, as far as not looked at yet."""
    host = slice_.host.name
    seen = [(model, observed.value(UNIT(host, model.name))) for model in slice_.models]
    running = [(model, unit) for model, unit in seen if unit is not None]
    files = _of_models(host, [model.name for model, _ in running], FILE_FACTS)
    ports = [PORT(host, model.door_at(unit.mark.port)) for model, unit in running]
    return tuple(key for key in (*files, *ports) if key not in observed)


def silent_engines(slice_: Slice, observed: Observed) -> tuple[AnyFactKey, ...]:
    """The health of the engines that did not answer the first look."""
    # One look may meet an engine busy; only silence at two of them says something (ADR 0018).
    keys = [HEALTH(slice_.host.name, model.name) for model in slice_.models]
    healths = {key: observed.value(key) for key in keys}
    return tuple(
        key for key, health in healths.items() if health and health.phase == "unresponsive"
    )


def orphan_facts(slice_: Slice, observed: Observed) -> tuple[AnyFactKey, ...]:
    """What a stop of the orphans would read: they are in no slice, so nothing else asks for it."""
    host = slice_.host.name
    fact = observed.fact(ORPHANS(host))
    units = fact.value if isinstance(fact, Known) and isinstance(fact.value, tuple) else ()
    names = {unit.mark.model for unit in units}
    strays = sorted(name for name in names if slice_.model(name) is None)
    return tuple(_of_models(host, strays, ORPHAN_FACTS))


def costly_facts(slice_: Slice, observed: Observed, hints: Hints) -> tuple[AnyFactKey, ...]:
    """The slots and flags worth asking for, and the guards of a host that should go down.

    The slots are those of units that may be stopped, or that are owed a conversation. Never of a
    sleeper.
    """
    host = slice_.host.name
    asked = [model for model in slice_.models if _is_worth_asking(slice_, model, observed, hints)]
    # A program is run to tell its flags, which takes 10 ms and more: only one that may be started
    # (ADR 0017).
    run = [model for model in slice_.models if _may_be_started(slice_, model, observed, hints)]
    goes = slice_.power in {"off", "suspend"} and observed.power(host) == "on"
    return (
        *(ACTIVITY(host, model.name) for model in asked),
        *(FLAGS(host, model.name) for model in run),
        *((GUARDS(host),) if goes else ()),
    )


def _is_worth_asking(slice_: Slice, model: ModelSpec, observed: Observed, hints: Hints) -> bool:
    seen = ModelSight(observed, slice_.host.name, model.name)
    unit, health = seen.unit, seen.health
    # A question would wake an engine that sleeps, and have it load its weights.
    if unit is None or health is None or not health.tells:
        return False
    stays = _may_stay(slice_, model) and _goes_on(model, unit, hints)
    if not stays or is_poisoned(seen):
        return True
    return any(not is_decided(slot, unit) for slot in fitting_slots(seen))


def _may_stay(slice_: Slice, model: ModelSpec) -> bool:
    if slice_.power not in {"on", None}:
        return False
    return slice_.active is None or model.name in slice_.active


def _may_be_started(slice_: Slice, model: ModelSpec, observed: Observed, hints: Hints) -> bool:
    wanted = slice_.power in {"on", None} and model.name in (slice_.active or ())
    if not wanted or observed.power(slice_.host.name) != "on":
        return False
    return not _runs_well(model, ModelSight(observed, slice_.host.name, model.name), hints)


def _runs_well(model: ModelSpec, seen: ModelSight, hints: Hints) -> bool:
    unit, health = seen.unit, seen.health
    goes_on = unit is not None and _goes_on(model, unit, hints)
    return goes_on and (health is None or health.lives)


def _goes_on(model: ModelSpec, unit: Unit, hints: Hints) -> bool:
    """Whether a unit is what the definition comes to, and nobody asked for a fresh one."""
    return unit.runs(model) and not restarting.is_due(hints.restarts, model.name, unit)
