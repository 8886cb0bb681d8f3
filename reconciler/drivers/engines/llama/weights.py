"""Weights, judged from their GGUF header: what they need, and whether conversations can be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from pydantic import JsonValue

from reconciler.drivers.engines.llama.flags import cache_bytes, has
from reconciler.model.facts import Unknown, Weights

if TYPE_CHECKING:
    from reconciler.drivers.engines.llama.launch_config import Setup
    from reconciler.model.facts import Fact
    from reconciler.model.spec import ModelSpec

Header: TypeAlias = dict[str, JsonValue]

COMPUTE_BYTES = 256 * 1024**2
PARTS = {"mmproj", "adapter", "imatrix"}
SPARE = 1.05
"""Compute buffers and rounding, on top of tensors and KV cache. An estimate: `vram` in the
inventory replaces it."""


def judged(header: Header, setup: Setup, model: ModelSpec) -> Weights:
    """Judge a header for this model; `header` is the host's answer to AskGguf."""
    exists, path = header.get("exists") is True, _text(header, "path")
    # What is made when the engine starts need not be there before.
    made = bool(setup.made_from)
    problem = "" if made and not exists else _text(header, "problem")
    problem = problem or _no_model(path, header)
    if problem or not exists:
        problem += _relative(problem, setup)
        return Weights(path=path, exists=exists, problem=problem, written_on_start=made)
    remedy, keepable = _keepable(header, setup, model)
    return Weights(
        path=path,
        exists=True,
        size=_whole(header, "size"),
        modified_ns=_whole(header, "modified_ns"),
        architecture=_text(header, "architecture"),
        context=_context(header, setup),
        kv_bytes_per_token=kv_bytes_per_token(header, setup),
        memory_bytes=_memory_bytes(header, setup),
        keepable=keepable,
        remedy=remedy,
        written_on_start=made,
    )


def _relative(problem: str, setup: Setup) -> str:
    # Whoever writes one rarely means the model's own directory.
    named = "" if setup.made_from else setup.weights
    if not problem or not named or named.startswith("/"):
        return ""
    return f"; {named} is relative to there, expected an absolute path"


def _context(header: Header, setup: Setup) -> int:
    return setup.context or _whole(header, "context_length")


def _memory_bytes(header: Header, setup: Setup) -> int:
    needed = _whole(header, "tensor_bytes") + _kv_bytes(header, setup)
    return int(needed * SPARE) + COMPUTE_BYTES


def _kv_bytes(header: Header, setup: Setup) -> int:
    return _context(header, setup) * kv_bytes_per_token(header, setup)


def unreadable(flag: str, answer: Fact[Header]) -> str:
    """Explain why a file that a flag names cannot be read, if that is known."""
    problem = "" if isinstance(answer, Unknown) else _text(answer.value, "problem")
    words = problem.removeprefix("the weights ").replace("the weights' part", "its part", 1)
    return f"{flag}: {words}" if words else ""


def _no_model(path: str, header: Header) -> str:
    kind = _kind(header)
    if kind not in PARTS:
        return ""
    part = f"the weights {path} are no model but a part of one ({kind})"
    return f"{part}; name it in args of its model"


def _kind(header: Header) -> str:
    # A projector for pictures says by its architecture what it is.
    return "mmproj" if header.get("architecture") == "clip" else _text(header, "type")


def kv_bytes_per_token(header: Header, setup: Setup) -> int:
    """Count the bytes of one token in the cache, with the cache types of `args`."""
    keys, values = _whole(header, "key_length"), _whole(header, "value_length")
    if not keys + values:
        return 0
    key_bytes, value_bytes = cache_bytes(setup.args)
    # The header counts half precision, of 2 bytes a number.
    numbers = _whole(header, "kv_bytes_per_token") / 2
    return int(numbers * (keys * key_bytes + values * value_bytes) / (keys + values))


def _keepable(header: Header, setup: Setup, model: ModelSpec) -> tuple[str, bool]:
    """Judge whether a restored slot is reused, as measured per architecture; else what helps."""
    if model.task not in {"chat", "completion"} or header.get("recurrent") is True:
        return "", False
    if _whole(header, "sliding_window") and not has(setup.args, "--swa-full"):
        return 'add "--swa-full" to args', False
    return "", True


def _whole(header: Header, key: str) -> int:
    value = header.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _text(header: Header, key: str) -> str:
    return str(header.get(key, ""))
