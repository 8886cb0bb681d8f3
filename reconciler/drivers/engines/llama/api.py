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
    """All that a server says about itself.

    `context` is the tokens of one slot, 0 where it does not say, as `weights` may be "".
    """

    alias: str
    sleeping: bool
    weights: str = ""
    context: int = 0
    slots: int = 0


@dataclass(frozen=True)
class LlamaApi:
    """The server at `root`, such as `http://127.0.0.1:8080`."""

    http: HttpClient
    root: str

    async def props(self) -> Props | None:
        """Ask what the server says about itself, and read it by `read_props`."""
        return read_props(await self.http.get(f"{self.root}{PROPS}", QUICK_SECONDS))

    async def places(self) -> tuple[SlotRoom, ...]:
        """Ask for every slot. Wakes a sleeping server."""
        reply = await self.http.get(f"{self.root}/slots", QUEUE_SECONDS)
        content = _expect(reply)
        if not isinstance(content, list) or not content:
            raise _strange(reply, "not with slots")
        return tuple(_place(reply, one) for one in content)

    async def counters(self) -> dict[str, float]:
        """Read the numbers of /metrics by name, without their prefix.

        There are none of a server that runs without --metrics.
        """
        reply = await self.http.get(f"{self.root}/metrics", QUEUE_SECONDS)
        if reply.status == NOT_IMPLEMENTED:
            return {}
        if reply.status != OK:
            raise unexpected(reply)
        return {name: float(number) for name, number in _COUNTER.findall(reply.text)}

    async def complete(self, slot: int, prompt: str) -> dict[str, JsonValue]:
        """Generate one token, in a slot that holds nothing worth keeping."""
        what: JsonValue = {"prompt": prompt, "n_predict": 1, "cache_prompt": False, "id_slot": slot}
        return _object(await self._post("completion", what, ANSWER_SECONDS))

    async def replay(self, slot: int, tokens: list[JsonValue], deadline: float) -> int:
        """Count how many of these tokens the slot had remembered; generates nothing."""
        what: JsonValue = {"prompt": tokens, "n_predict": 0, "cache_prompt": True, "id_slot": slot}
        reply = await self._post("completion", what, deadline)
        return _whole(reply, _timings(_object(reply)), "cache_n")

    async def embed(self, text: str) -> JsonValue:
        """Ask /embedding."""
        return _expect(await self._post("embedding", {"content": text}, ANSWER_SECONDS))

    async def rerank(self, query: str, documents: list[str]) -> JsonValue:
        """Ask /rerank."""
        what: JsonValue = {"query": query, "documents": [*documents]}
        return _expect(await self._post("rerank", what, ANSWER_SECONDS))

    async def _post(self, route: str, content: JsonValue, deadline: float) -> Reply:
        return await self.http.post(f"{self.root}/{route}", content, deadline)

    async def save(self, slot: int, file: str, deadline: float) -> tuple[int, int, float]:
        """Write a slot into a file, waiting until the slot is free.

        Return tokens, bytes and milliseconds.
        """
        reply = await self._slot(slot, "save", file, deadline)
        content = _object(reply)
        tokens, size = _whole(reply, content, "n_saved"), _whole(reply, content, "n_written")
        return tokens, size, _milliseconds(content, "save_ms")

    async def restore(self, slot: int, file: str, deadline: float) -> tuple[int, float]:
        """Read a file into a slot; return tokens and milliseconds.

        Failing, the server empties the slot.
        """
        reply = await self._slot(slot, "restore", file, deadline)
        content = _object(reply)
        return _whole(reply, content, "n_restored"), _milliseconds(content, "restore_ms")

    async def _slot(self, slot: int, action: str, file: str, deadline: float) -> Reply:
        return await self._post(f"slots/{slot}?action={action}", {"filename": file}, deadline)


def read_props(reply: Reply) -> Props | None:
    """Read the answer to /props, None while the model is loaded.

    Raise DriverError when this is no llama.cpp server.
    """
    # /props needs no place in the queue, and wakes no server that sleeps. Every route answers 503
    # until the model is loaded.
    if is_loading(reply):
        return None
    content = _object(reply)
    settings, slots = content.get("default_generation_settings"), content.get("total_slots")
    if not isinstance(settings, dict) or not isinstance(slots, int):
        raise _strange(reply, "not with the settings of a llama.cpp server")
    return Props(
        alias=str(content.get("model_alias") or ""),
        sleeping=content.get("is_sleeping") is True,
        weights=_text(content, "model_path"),
        context=_number(settings, "n_ctx") or 0,
        slots=slots,
    )


def is_loading(reply: Reply) -> bool:
    """Whether a server says that it loads its model."""
    return reply.status == UNAVAILABLE and "loading" in reply.text.lower()


def unexpected(reply: Reply) -> DriverError:
    """Turn a refusal into an error, in the server's own words where it has some."""
    return DriverError(
        f"{reply.asked} answered {reply.status}: {_words_of_refusal(reply) or reply.excerpt}"
    )


def _words_of_refusal(reply: Reply) -> str:
    try:
        content = reply.json()
    except DriverError:
        return ""
    error = content.get("error") if isinstance(content, dict) else None
    return _text(error, "message") if isinstance(error, dict) else ""


def _place(reply: Reply, content: JsonValue) -> SlotRoom:
    if not isinstance(content, dict) or not isinstance(content.get("is_processing"), bool):
        raise _strange(reply, "which is no list of slots")
    slot = Slot(
        id=_whole(reply, content, "id"),
        busy=content["is_processing"] is True,
        tokens=_number(content, "n_prompt_tokens"),
        task=_task(content),
    )
    return SlotRoom(slot, _whole(reply, content, "n_ctx"))


def _task(content: dict[str, JsonValue]) -> int | None:
    # A slot that had no task yet says -1.
    task = _number(content, "id_task")
    return None if task is None or task < 0 else task


def _number(content: dict[str, JsonValue], key: str) -> int | None:
    value = content.get(key)
    return value if isinstance(value, int) else None


def _text(content: dict[str, JsonValue], key: str) -> str:
    value = content.get(key)
    return value if isinstance(value, str) else ""


def _expect(reply: Reply) -> JsonValue:
    if reply.status == NOT_IMPLEMENTED:
        raise NotOffered(unexpected(reply).message)
    if reply.status != OK:
        raise unexpected(reply)
    return reply.json()


def _object(reply: Reply) -> dict[str, JsonValue]:
    content = _expect(reply)
    if not isinstance(content, dict):
        raise _strange(reply, "not with an object")
    return content


def _strange(reply: Reply, why: str) -> DriverError:
    return DriverError(f"{reply.asked} answered {reply.excerpt!r}, {why}")


def _whole(reply: Reply, content: dict[str, JsonValue], key: str) -> int:
    value = content.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _strange(reply, f"without a number of {key}")
    return value


def _milliseconds(content: dict[str, JsonValue], key: str) -> float:
    value = _timings(content).get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _timings(content: dict[str, JsonValue]) -> dict[str, JsonValue]:
    timings = content.get("timings")
    return timings if isinstance(timings, dict) else {}
