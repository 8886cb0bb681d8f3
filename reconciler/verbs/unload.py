"""Unload: let go of models that requests or people brought in for a while."""

from __future__ import annotations

from reconciler.core.wording import listed
from reconciler.errors import Refused
from reconciler.model.leasing import Released
from reconciler.model.target import Wanted
from reconciler.render.documents import VerdictDocument
from reconciler.verbs import apply
from reconciler.verbs.context import Actor, Caller
from reconciler.verbs.hosts import no_model
from reconciler.verbs.result import Outcome

BECAUSE = "an unload was asked for"


async def run(app: Actor, model_name: str | None, caller: Caller) -> Outcome[VerdictDocument]:
    """End the lease of a model (or of all that share an alias), or every lease; carry that out.

    Raise Misused for a model that is not there, Refused for one that desired.yaml wants.
    """
    wanted = app.source.read()
    named = None if model_name is None else _named(wanted, model_name)
    remembered = app.remembered()
    ends = tuple(
        [
            Released(host=host, model=name, because=BECAUSE)
            for host in wanted.slices
            for name in (await remembered.hints(host)).leases
            if named is None or name in named
        ]
    )
    if not ends:
        return Outcome(VerdictDocument(hosts=()))
    request = apply.ApplyRequest(trigger="unload", noting=ends, approved=True)
    return await apply.run(app, request, caller)


def _named(wanted: Wanted, name: str) -> frozenset[str]:
    """The models that a name or an alias means, but for what desired.yaml wants."""
    models = {model.name for one in wanted.slices.values() for model in one.models}
    sharing = {model for model in models if name in wanted.aliases.get(model, ())}
    named = {name} & models or sharing
    if not named:
        raise no_model(wanted, name)
    active = {model for one in wanted.slices.values() for model in one.active or ()}
    if named <= active:
        raise Refused(
            f"desired.yaml wants {listed(sorted(named))} to serve; `reconciler hold --release`"
            " frees its host, and `reconciler use` makes another model the active one"
        )
    return frozenset(named - active)
