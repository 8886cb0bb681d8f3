"""Retry: forget the failures of a host and apply again."""

from __future__ import annotations

from reconciler.model.records import Retry
from reconciler.render.documents import VerdictDocument
from reconciler.verbs import apply
from reconciler.verbs.context import Actor, Caller
from reconciler.verbs.hosts import chosen
from reconciler.verbs.result import Outcome


async def run(
    app: Actor, host: str | None, caller: Caller, *, approved: bool
) -> Outcome[VerdictDocument]:
    """Lift the quarantine of one host, or of all, and apply.

    Raise Misused for a host that is not managed.
    """
    noting = tuple(Retry(host=name) for name in chosen(app, host))
    request = apply.ApplyRequest(trigger="retry", noting=noting, approved=approved)
    return await apply.run(app, request, caller)
