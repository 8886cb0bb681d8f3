"""The scope of a look: which facts a pass looks at, the cheap ones always and the costly ones only where they matter."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from reconciler.core.recovery import Hints
from reconciler.model.facts import Known
from reconciler.model.observed import (
    ACTIVITY,
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
    UNIT,
    WEIGHTS,
    AnyFactKey,
    HostFact,
    ModelFact,
    Observed,
)
from reconciler.model.spec import ModelSpec, Slice
from reconciler.steps.restore_slots import fitting_slots, is_poisoned

HOST_FACTS: tuple[HostFact[Any], ...] = (CONTACT, POWER, CLAIM, GPU, ORPHANS)
ORPHAN_FACTS: tuple[ModelFact[Any], ...] = (UNIT, HEALTH)
UNIT_FACTS: tuple[ModelFact[Any], ...] = (UNIT, HEALTH)
FILE_FACTS: tuple[ModelFact[Any], ...] = (SAVED, WEIGHTS, BINARY, FINGERPRINT)


def cheap_facts(slice_: Slice, model_names: Collection[str]) -> tuple[AnyFactKey, ...]:
    """Return the facts that every pass over a host reads: what runs of all models, and the files of those that are named."""
    host = slice_.host.name
    names = [model.name for model in slice_.models]
    ports = sorted({model.port for model in slice_.models})
    return (
        *(kind(host) for kind in HOST_FACTS),
        *((PREPARED(host),) if slice_.host.prepare else ()),
        *(kind(host, name) for name in names for kind in UNIT_FACTS),
        *(kind(host, name) for name in names if name in model_names for kind in FILE_FACTS),
        *(PORT(host, port) for port in ports),
    )


def may_run(slice_: Slice, hints: Hints) -> tuple[str, ...]:
    """Return the models that may be started, and those that ran before and so may have to be saved."""
    return (*(slice_.active or ()), *((hints.last_good.active if hints.last_good else None) or ()))


def found_facts(slice_: Slice, observed: Observed) -> tuple[AnyFactKey, ...]:
    """Return the files of models that turned out to run, and the ports where they do, where nobody has looked at them."""
    host = slice_.host.name
    units = [unit for model in slice_.models if (unit := observed.value(UNIT(host, model.name)))]
    files = [kind(host, unit.mark.model) for unit in units for kind in FILE_FACTS]
    ports = [PORT(host, unit.mark.port) for unit in units if unit.mark.port]
    return tuple(key for key in (*files, *ports) if key not in observed)


def silent_engines(slice_: Slice, observed: Observed) -> tuple[AnyFactKey, ...]:
    """Return the health of the engines that did not answer a single look, which may have met them busy."""
    # One look may meet an engine busy; only silence at two of them says something (ADR 0018).
    keys = (HEALTH(slice_.host.name, model.name) for model in slice_.models)
    return tuple(
        key for key in keys if (health := observed.value(key)) and health.phase == "unresponsive"
    )


def orphan_facts(slice_: Slice, observed: Observed) -> tuple[AnyFactKey, ...]:
    """Return what a stop of the orphans would read: they are in no slice, so nobody else asks."""
    host = slice_.host.name
    fact = observed.fact(ORPHANS(host))
    units = fact.value if isinstance(fact, Known) and isinstance(fact.value, tuple) else ()
    strays = sorted({unit.mark.model for unit in units if slice_.model(unit.mark.model) is None})
    return tuple(kind(host, name) for name in strays for kind in ORPHAN_FACTS)


def costly_facts(slice_: Slice, observed: Observed) -> tuple[AnyFactKey, ...]:
    """Return the slots and flags worth asking for, and what stands in the way of a host that is to go down.

    The slots are those of units that may be stopped, or that are owed a conversation. Never of a
    sleeper. The flags are those of programs that may be started: these are run to tell.
    """
    host = slice_.host.name
    slots = (
        ACTIVITY(host, model.name)
        for model in slice_.models
        if _is_worth_asking(slice_, model, observed)
    )
    # A program is run to tell its flags, which takes 10 ms and more: only one that may be started
    # (ADR 0017).
    flags = (
        FLAGS(host, model.name)
        for model in slice_.models
        if _may_be_started(slice_, model, observed)
    )
    goes = slice_.power in {"off", "suspend"} and observed.power(host) == "on"
    return (*slots, *flags, *((GUARDS(host),) if goes else ()))


def _is_worth_asking(slice_: Slice, model: ModelSpec, observed: Observed) -> bool:
    host = slice_.host.name
    unit = observed.value(UNIT(host, model.name))
    health = observed.value(HEALTH(host, model.name))
    # A question would wake an engine that sleeps, and have it load its weights.
    if unit is None or health is None or not health.tells:
        return False
    stays = slice_.power in {"on", None} and (slice_.active is None or model.name in slice_.active)
    if not stays or not unit.runs(model) or is_poisoned(observed, host, model.name):
        return True
    return any(
        all(tried.identity != unit.identity or tried.outcome == "open" for tried in slot.attempts)
        for slot in fitting_slots(observed, host, model.name)
    )


def _may_be_started(slice_: Slice, model: ModelSpec, observed: Observed) -> bool:
    host = slice_.host.name
    unit = observed.value(UNIT(host, model.name))
    health = observed.value(HEALTH(host, model.name))
    runs = unit is not None and unit.runs(model) and (health is None or health.lives)
    return (
        not runs
        and slice_.power in {"on", None}
        and model.name in (slice_.active or ())
        and observed.power(host) == "on"
    )
