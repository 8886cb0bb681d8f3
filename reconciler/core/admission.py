"""Admission: which models requests may reach, once a plan is carried out, and may not now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.model.change import (
    AdmitChange,
    Change,
    ProveChange,
    RestoreChange,
    StartChange,
)
from reconciler.model.lending import Rules
from reconciler.model.observed import ADMITTING, Observed
from reconciler.model.sight import ModelSight
from reconciler.model.spec import ModelSpec, Slice
from reconciler.model.target import Wanted
from reconciler.model.traffic import Route, Routes

OPENS_AGAIN = "requests may reach it"


def admissions(
    wanted: Slice, observed: Observed, changes: Iterable[Change]
) -> tuple[AdmitChange, ...]:
    """The models that requests may reach once `changes` are made, and may not now."""
    if wanted.power in {"off", "suspend"}:
        return ()
    causes = {
        change.model: change.cause
        for change in changes
        if isinstance(change, StartChange | ProveChange | RestoreChange)
    }
    found = [
        (model, causes.get(model.name) or _opens_again(wanted.host.name, model, observed))
        for model in wanted.models
        if model.name in (wanted.active or ())
        and ADMITTING(wanted.host.name, model.name) in observed
    ]
    return tuple(
        AdmitChange(host=wanted.host.name, model=model.name, port=model.port, cause=cause)
        for model, cause in found
        if cause
    )


def _opens_again(host: str, model: ModelSpec, observed: Observed) -> str:
    """Why the gate of a model that runs as it should is opened; empty while it is open for it."""
    seen = ModelSight(observed, host, model.name)
    unit, health, gate = seen.unit, seen.health, seen.admitting
    if unit is None or not unit.leader or health is None or not health.takes_requests:
        return ""
    return "" if gate is not None and gate.identity == unit.identity else OPENS_AGAIN


def routes(wanted: Wanted) -> Routes:
    """The models that requests may name.

    The first active model of the only host that has one is main.
    """
    active = [slice_.active[0] for slice_ in wanted.slices.values() if slice_.active]
    models = tuple(
        _route(model.name, slice_, wanted.rules.get(host, Rules()), wanted.aliases)
        for host, slice_ in wanted.slices.items()
        for model in slice_.models
    )
    main, gateway = active[0] if len(active) == 1 else None, wanted.gateway
    return Routes(
        models=models,
        main=main,
        names=gateway.names,
        origins=gateway.origins,
        listen=gateway.listen,
        largest=gateway.limits.body,
    )


def _route(
    model_name: str, slice_: Slice, rules: Rules, aliases: Mapping[str, tuple[str, ...]]
) -> Route:
    return Route(
        model=model_name,
        host=slice_.host.name,
        active=model_name in (slice_.active or ()),
        lent=model_name in rules.allow,
        max_wait=rules.max_wait,
        aliases=aliases.get(model_name, ()),
    )
