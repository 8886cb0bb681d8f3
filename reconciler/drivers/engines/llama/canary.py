"""One real answer of an engine's task: a token, a vector or scores.

No slot that holds a conversation is touched.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from reconciler.errors import DriverError, NotOffered

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic import JsonValue

    from reconciler.drivers.engines.llama.api import LlamaApi
    from reconciler.model.facts import Slot
    from reconciler.model.spec import Task

PROMPT = "Hi"
DOCUMENTS = ("yes", "no")
REMEDIES = {"embedding": 'add "--embedding" to args', "rerank": 'add "--reranking" to args'}


async def answered(api: LlamaApi, task: Task, avoided: Collection[int]) -> str:
    """Explain why no answer could be had; empty when the engine gave one.

    Raise DriverError when it answered wrongly. `avoided` names slots that may hold more than they
    say.
    """
    if task == "embedding":
        return _judged_vector(await _asked(task, api))
    if task == "rerank":
        return _judged_scores(await _asked(task, api))
    slots = [place.slot for place in await api.places()]
    free = [slot for slot in slots if slot.id not in avoided and _is_free(slot)]
    if not free:
        return await _traffic(api, slots)
    return _judged_token(await api.complete(free[0].id, PROMPT))


def _is_free(slot: Slot) -> bool:
    return not (slot.busy or slot.holds_conversation or slot.uncounted)


def _judged_token(content: dict[str, JsonValue]) -> str:
    if content.get("tokens_predicted") != 1 or not isinstance(content.get("content"), str):
        raise _strange("one token", content)
    return ""


def _strange(asked: str, content: JsonValue) -> DriverError:
    return DriverError(f"asked for {asked}, it gave {str(content)[:120]!r}")


async def _traffic(api: LlamaApi, slots: list[Slot]) -> str:
    # That clients have had tokens from this process is as good as an answer to us.
    counters = await api.counters()
    # Where nothing is counted, a task that a slot is done with is what can be seen of an answer.
    done = any(slot.task is not None and not slot.busy for slot in slots)
    if counters.get("tokens_predicted_total", 0) > 0 or (not counters and done):
        return ""
    return (
        f"all {len(slots)} slots are in use or hold conversations, and no token was generated yet"
    )


async def _asked(task: Task, api: LlamaApi) -> JsonValue:
    try:
        return await (
            api.embed(PROMPT) if task == "embedding" else api.rerank(PROMPT, [*DOCUMENTS])
        )
    except NotOffered as error:
        raise NotOffered(f"{error.message}; {REMEDIES[task]}") from error


def _judged_vector(content: JsonValue) -> str:
    """Raise DriverError for anything but a finite vector whose numbers differ."""
    vector = _vector(content)
    numbers = _finite(vector)
    if len(numbers) < len(vector) or len(set(numbers)) <= 1:
        raise _strange("an embedding", content)
    return ""


def _vector(content: JsonValue) -> list[JsonValue]:
    """Find the first vector, of the first token where there is one for each; else an empty one."""
    first = content[0] if isinstance(content, list) and content else None
    vector = first.get("embedding") if isinstance(first, dict) else None
    if isinstance(vector, list) and vector and isinstance(vector[0], list):
        vector = vector[0]
    return vector if isinstance(vector, list) else []


def _judged_scores(content: JsonValue) -> str:
    """Raise DriverError for anything but a finite score for each document."""
    results = content.get("results") if isinstance(content, dict) else None
    told = results if isinstance(results, list) else []
    scores = [one.get("relevance_score") for one in told if isinstance(one, dict)]
    if len(_finite(scores)) != len(DOCUMENTS):
        raise _strange("two scores", content)
    return ""


def _finite(values: list[JsonValue]) -> list[float]:
    return [float(one) for one in values if isinstance(one, int | float) and math.isfinite(one)]
