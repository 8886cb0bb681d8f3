"""Acting: the verbs that have the watch of this process do something."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from reconciler.api.acting import WAIT, acting
from reconciler.api.call import ApiCall
from reconciler.api.reply import read
from reconciler.api.served import Served
from reconciler.errors import Refused
from reconciler.gateway.control import ControlReply, ControlRequest
from reconciler.model.names import Value
from reconciler.render.documents import VerdictDocument
from reconciler.verbs import apply, hold, lend, restart, retry, rollback, use


class ApplyBody(Value):
    """What may be said to `apply`."""

    plan: dict[str, Any] | None = Field(
        default=None, description="A plan, as GET plan told it: refused unless it still fits."
    )
    prune: bool = Field(default=False, description="Also stop what the inventory no longer has.")
    take_over: bool = Field(default=False, description="Replace another controller's claim.")


class HostBody(Value):
    """Which host is meant."""

    host: str | None = Field(default=None, description="One host only.")


class HoldBody(HostBody):
    """What may be said to `hold`."""

    reason: str = Field(default="", description="Shown in status.")
    until: str | None = Field(default=None, description='When it ends: "2h" or "18:30".')
    release: bool = Field(default=False, description="First save conversations and stop models.")
    now: bool = Field(default=False, description="Cut short a wait that is under way.")


class UseBody(HostBody):
    """What may be said to `use`."""

    model_config = ConfigDict(populate_by_name=True)

    model: str = Field(description="The model.")
    for_: str | None = Field(
        default=None,
        alias="for",
        description='For how long, such as "2h": the file stays as it is.',
    )
    reason: str = Field(default="", description="Why, where it is for a while.")
    commit: bool = Field(default=False, description="Commit desired.yaml with git.")


class RestartBody(Value):
    """Which model is meant."""

    model: str = Field(description="The model.")


class RollbackBody(HostBody):
    """What may be said to `rollback`."""

    run: int | None = Field(default=None, description="The run to go back to.")


async def _apply(served: Served, asked: ControlRequest) -> ControlReply:
    said = read(asked.body, ApplyBody)
    if (said.prune or said.take_over) and "admin" not in asked.requester.scopes:
        raise Refused("prune and take_over need a key with the scope admin; nothing was done")
    request = apply.ApplyRequest(
        saved=said.plan, prune=said.prune, take_over=said.take_over, approved=said.plan is None
    )
    return await acting(served, asked, lambda caller: apply.run(served, request, caller))


async def _hold(served: Served, asked: ControlRequest) -> ControlReply:
    said = read(asked.body, HoldBody)
    words = hold.HoldWords(
        said.reason, said.until, release=said.release, now=said.now, approved=True
    )
    return await acting(served, asked, lambda caller: hold.hold(served, said.host, words, caller))


async def _resume(served: Served, asked: ControlRequest) -> ControlReply:
    host = read(asked.body, HostBody).host
    return await acting(
        served, asked, lambda caller: hold.resume(served, host, caller, approved=True)
    )


async def _retry(served: Served, asked: ControlRequest) -> ControlReply:
    host = read(asked.body, HostBody).host
    return await acting(
        served, asked, lambda caller: retry.run(served, host, caller, approved=True)
    )


async def _restart(served: Served, asked: ControlRequest) -> ControlReply:
    name = read(asked.body, RestartBody).model
    return await acting(served, asked, lambda caller: restart.run(served, name, caller))


async def _rollback(served: Served, asked: ControlRequest) -> ControlReply:
    said = read(asked.body, RollbackBody)
    return await acting(
        served,
        asked,
        lambda caller: rollback.run(served, said.run, said.host, caller, approved=True),
    )


async def _use(served: Served, asked: ControlRequest) -> ControlReply:
    said = read(asked.body, UseBody)
    if said.for_ is not None:
        by = asked.requester.name or "the control API"
        words = lend.LendWords(said.model, by, said.for_, said.reason, said.host)
        return await acting(served, asked, lambda caller: lend.run(served, words, caller))
    proposal = served.source.propose(said.model, said.host)
    message = f"active: {said.model}" if said.commit else ""
    return await acting(served, asked, lambda caller: use.run(served, proposal, message, caller))


CALLS = tuple(
    ApiCall("POST", f"/api/v1/{word}", what, does, VerdictDocument, body, WAIT)
    for word, what, does, body in (
        ("apply", "Bring every host to what the files say.", _apply, ApplyBody),
        ("hold", "Leave hosts alone until resume.", _hold, HoldBody),
        ("resume", "End a hold.", _resume, HostBody),
        ("retry", "Forget a failure and try again.", _retry, HostBody),
        ("restart", "Stop the engine of a model and start it afresh.", _restart, RestartBody),
        ("rollback", "Go back to an earlier state.", _rollback, RollbackBody),
        ("use", "Switch to a model: in desired.yaml, or for a while.", _use, UseBody),
    )
)
