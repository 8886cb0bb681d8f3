"""Keys: who may come in, told and changed over the API."""

from __future__ import annotations

from anyio import to_thread
from pydantic import Field

from reconciler.api.call import ApiCall
from reconciler.api.reply import looked, read
from reconciler.api.served import Served
from reconciler.gateway.control import ControlReply, ControlRequest
from reconciler.model.key_scope import KeyScope
from reconciler.model.names import Value
from reconciler.render.documents import KeysDocument
from reconciler.verbs import key


class KeyBody(Value):
    """What a new key is to be."""

    name: str = Field(description="What people call it.")
    scopes: tuple[KeyScope, ...] = Field(default=("infer",), description="What it allows.")
    models: tuple[str, ...] = Field(default=(), description="The only models; empty for any.")
    expires: str | None = Field(default=None, description='When it ends, such as "30d".')
    in_flight: int = Field(default=16, ge=1, le=2000, description="Requests under way at most.")
    waiting: int = Field(default=64, ge=1, le=2000, description="Requests that wait at most.")
    wake_on_list: bool = Field(default=False, description="Listing models wakes hosts that rest.")


async def _list(served: Served, _: ControlRequest) -> ControlReply:
    return looked(key.list_(served.keys))


async def _add(served: Served, asked: ControlRequest) -> ControlReply:
    said = read(asked.body, KeyBody)
    words = key.KeyWords(
        said.scopes,
        said.models,
        said.expires,
        said.in_flight,
        said.waiting,
        wake_on_list=said.wake_on_list,
    )
    note = key.unchecked(served.source, words.models)
    # A durable write takes as long as its disk: requests for models do not wait for that.
    made = await to_thread.run_sync(key.add, served.keys, served.clock, said.name, words, note)
    return looked(made)


async def _remove(served: Served, asked: ControlRequest) -> ControlReply:
    return looked(await to_thread.run_sync(key.remove, served.keys, asked.named["name"]))


CALLS = (
    ApiCall("GET", "/api/v1/keys", "The keys that there are.", _list, KeysDocument),
    ApiCall("POST", "/api/v1/keys", "Make a key, told this once.", _add, KeysDocument, KeyBody),
    ApiCall("DELETE", "/api/v1/keys/{name}", "Remove a key.", _remove, KeysDocument),
)
