"""Unloading: the routes of llama.cpp's router and of llama-swap that let go of models."""

from __future__ import annotations

from pydantic import Field

from reconciler.api.acting import WAIT, acting
from reconciler.api.call import ApiCall
from reconciler.api.reply import read, told
from reconciler.api.served import Served
from reconciler.errors import Misused
from reconciler.gateway.control import ControlReply, ControlRequest
from reconciler.model.names import Value
from reconciler.verbs import unload

SERVER_ERRORS = 400


class ModelBody(Value):
    """Which model is meant."""

    model: str = Field(default="", description="The model.")


async def _one(served: Served, asked: ControlRequest) -> ControlReply:
    name = asked.named.get("model") or read(asked.body, ModelBody).model
    if not name:
        raise Misused('found no model; expected {"model": NAME}')
    return await _unloaded(served, asked, name)


async def _all(served: Served, asked: ControlRequest) -> ControlReply:
    return await _unloaded(served, asked, None)


async def _all_by_get(served: Served, asked: ControlRequest) -> ControlReply:
    if "get_unload" not in served.source.read().gateway.compat:
        raise Misused(
            "GET lets go of nothing, since whatever reads a page sends it; ask by POST, or write"
            " `compat: get_unload` under `gateway:` in inventory.yaml"
        )
    return await _all(served, asked)


async def _unloaded(served: Served, asked: ControlRequest, name: str | None) -> ControlReply:
    reply = await acting(served, asked, lambda caller: unload.run(served, name, caller))
    if reply.status >= SERVER_ERRORS:
        return reply
    # What these programs answer, at once or when it has ended.
    return told(200, {"success": True})._replace(fields=reply.fields)


CALLS = (
    ApiCall(
        "POST",
        "/models/unload",
        "Let go of a model that is there for a while.",
        _one,
        body=ModelBody,
        query=WAIT,
    ),
    ApiCall(
        "POST", "/api/models/unload/{model}", "The same, as llama-swap has it.", _one, query=WAIT
    ),
    ApiCall("POST", "/api/models/unload", "Let go of all such models.", _all, query=WAIT),
    ApiCall("POST", "/unload", "The same, by the older name of llama-swap.", _all, query=WAIT),
    ApiCall(
        "GET", "/unload", "The same, where `compat: get_unload` says so.", _all_by_get, query=WAIT
    ),
)
