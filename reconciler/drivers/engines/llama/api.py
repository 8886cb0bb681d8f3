"""The routes of llama.cpp's server that are used, each answer checked before it is believed.

Routes, fields and what they do to the server were measured on llama-server 0.6.0-dev;
`is_processing` exists since b4027, `n_prompt_tokens` since May 2026. Everything raises DriverError
(HttpFault when there was no usable answer).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.errors import DriverError, NotOffered
from reconciler.model.facts import Slot

if TYPE_CHECKING:
    from pydantic import JsonValue

    from reconciler.edge.http import HttpClient
    from reconciler.edge.http_reply import Reply

QUICK_SECONDS: Final = 5.0
"""For what does not wait for the model."""

QUEUE_SECONDS: Final = 10.0
"""For what waits until the model has finished its current batch."""

ANSWER_SECONDS: Final = 60.0
"""For one token on a slow machine."""

PROPS: Final = "/props"
PROPS_LIMIT: Final = 1024 * 1024
HEALTH: Final = "/health"
"""It wants no key, so it says of a server that refuses all else whether it still loads. Measured on
b10434 and b11549."""

OK, NOT_IMPLEMENTED, UNAVAILABLE = 200, 501, 503
REFUSES: Final = frozenset({401, 403})

_COUNTER = re.compile(r"^llamacpp:(\w+) (\d+(?:\.\d+)?(?:e\+\d+)?)$", re.MULTILINE)


class SlotRoom(NamedTuple):
    """A slot and how many tokens fit in it."""

    slot: Slot
    capacity: int


class Props(NamedTuple):
    """What a server says about itself.

    `context` is the tokens of one slot, 0 where it does not say, as `weights` may be "".
    """

    alias: str
    sleeping: bool
    weights: str = ""
    context: int = 0
    slots: int = 0


@dataclass(frozen=True)
class LlamaApi:
    """Speak with the server at `root`, such as `http://127.0.0.1:8080`."""

    http: HttpClient
    root: str

    async def props(self) -> Props | None:
        """Return what the server says about itself, as `read_props` does."""
        return read_props(await self.http.get(f"{self.root}{PROPS}", QUICK_SECONDS))

    async def places(self) -> tuple[SlotRoom, ...]:
        """Return every slot. Wakes a sleeping server."""
        reply = await self.http.get(f"{self.root}/slots", QUEUE_SECONDS)
        content = _expect(reply)
        if not isinstance(content, list) or not content:
            raise DriverError(f"{reply.asked} answered {reply.excerpt!r}, not with slots")
        return tuple(_place(reply, one) for one in content)

    async def counters(self) -> dict[str, float]:
        """Return the numbers of /metrics by name, without their prefix.

        None of a server that runs without --metrics.
        """
        reply = await self.http.get(f"{self.root}/metrics", QUEUE_SECONDS)
        if reply.status == NOT_IMPLEMENTED:
            return {}
        if reply.status != OK:
            raise unexpected(reply)
        return {name: float(number) for name, number in _COUNTER.findall(reply.text)}

    async def complete(self, slot: int, prompt: str) -> dict[str, JsonValue]:
        """Return one generated token, in a slot that holds nothing worth keeping."""
        asked: JsonValue = {
            "prompt": prompt,
            "n_predict": 1,
            "id_slot": slot,
            "cache_prompt": False,
        }
        return _object(await self.http.post(f"{self.root}/completion", asked, ANSWER_SECONDS))

    async def replay(self, slot: int, tokens: list[JsonValue], deadline: float) -> int:
        """Return how many of these tokens the slot had remembered; generates nothing."""
        asked: JsonValue = {"prompt": tokens, "n_predict": 0, "id_slot": slot, "cache_prompt": True}
        reply = await self.http.post(f"{self.root}/completion", asked, deadline)
        timings = _object(reply).get("timings")
        return _whole(reply, timings if isinstance(timings, dict) else {}, "cache_n")

    async def embed(self, text: str) -> JsonValue:
        """Return the answer of /embedding."""
        return _expect(
            await self.http.post(f"{self.root}/embedding", {"content": text}, ANSWER_SECONDS)
        )

    async def rerank(self, query: str, documents: list[str]) -> JsonValue:
        """Return the answer of /rerank."""
        asked: JsonValue = {"query": query, "documents": [*documents]}
        return _expect(await self.http.post(f"{self.root}/rerank", asked, ANSWER_SECONDS))

    async def save(self, slot: int, file: str, deadline: float) -> tuple[int, int, float]:
        """Write a slot into a file, waiting until the slot is free.

        Return tokens, bytes and milliseconds.
        """
        reply = await self._slot(slot, "save", file, deadline)
        content = _object(reply)
        return (
            _whole(reply, content, "n_saved"),
            _whole(reply, content, "n_written"),
            _milliseconds(content, "save_ms"),
        )

    async def restore(self, slot: int, file: str, deadline: float) -> tuple[int, float]:
        """Read a file into a slot; return tokens and milliseconds.

        Failing, the server empties the slot.
        """
        reply = await self._slot(slot, "restore", file, deadline)
        content = _object(reply)
        return _whole(reply, content, "n_restored"), _milliseconds(content, "restore_ms")

    async def _slot(self, slot: int, action: str, file: str, deadline: float) -> Reply:
        return await self.http.post(
            f"{self.root}/slots/{slot}?action={action}", {"filename": file}, deadline
        )


def read_props(reply: Reply) -> Props | None:
    """Return name and sleep, None while the model is loaded.

    Raise DriverError when this is no llama.cpp server.

    /props needs neither the queue nor wakes a server that sleeps. Every route answers 503 until the
    model is loaded.
    """
    if is_loading(reply):
        return None
    content = _object(reply)
    settings, slots = content.get("default_generation_settings"), content.get("total_slots")
    if not isinstance(settings, dict) or not isinstance(slots, int):
        raise DriverError(
            f"{reply.asked} answered {reply.excerpt!r}, not with the settings of a llama.cpp server"
        )
    context, weights = settings.get("n_ctx"), content.get("model_path")
    return Props(
        alias=str(content.get("model_alias") or ""),
        sleeping=content.get("is_sleeping") is True,
        weights=weights if isinstance(weights, str) else "",
        context=context if isinstance(context, int) else 0,
        slots=slots,
    )


def is_loading(reply: Reply) -> bool:
    """Return whether a server says that it loads its model."""
    return reply.status == UNAVAILABLE and "loading" in reply.text.lower()


def unexpected(reply: Reply) -> DriverError:
    """Return what a refusal says, in the server's own words where it has some."""
    try:
        content = reply.json()
    except DriverError:
        content = None
    error = content.get("error") if isinstance(content, dict) else None
    words = error.get("message") if isinstance(error, dict) else None
    return DriverError(
        f"{reply.asked} answered {reply.status}:"
        f" {words if isinstance(words, str) else reply.excerpt}"
    )


def _place(reply: Reply, content: JsonValue) -> SlotRoom:
    if not isinstance(content, dict) or not isinstance(content.get("is_processing"), bool):
        raise DriverError(f"{reply.asked} answered {reply.excerpt!r}, which is no list of slots")
    tokens, task = content.get("n_prompt_tokens"), content.get("id_task")
    slot = Slot(
        id=_whole(reply, content, "id"),
        busy=content["is_processing"] is True,
        tokens=tokens if isinstance(tokens, int) else None,
        task=task if isinstance(task, int) and task >= 0 else None,
    )
    return SlotRoom(slot, _whole(reply, content, "n_ctx"))


def _expect(reply: Reply) -> JsonValue:
    if reply.status == NOT_IMPLEMENTED:
        raise NotOffered(unexpected(reply).message)
    if reply.status != OK:
        raise unexpected(reply)
    return reply.json()


def _object(reply: Reply) -> dict[str, JsonValue]:
    content = _expect(reply)
    if not isinstance(content, dict):
        raise DriverError(f"{reply.asked} answered {reply.excerpt!r}, not with an object")
    return content


def _whole(reply: Reply, content: dict[str, JsonValue], key: str) -> int:
    value = content.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise DriverError(f"{reply.asked} answered {reply.excerpt!r}, without a number of {key}")
    return value


def _milliseconds(content: dict[str, JsonValue], key: str) -> float:
    timings = content.get("timings")
    value = timings.get(key) if isinstance(timings, dict) else None
    return float(value) if isinstance(value, int | float) else 0.0
