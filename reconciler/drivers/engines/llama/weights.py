"""Judge a weights file from its GGUF header: what it needs, and whether its conversations can be kept."""

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
    """Return what a header means for this model; `header` is the host's answer to AskGguf."""
    exists = header.get("exists") is True
    problem = str(header.get("problem", ""))
    path, size, modified_ns = (
        str(header.get("path", "")),
        _whole(header, "size"),
        _whole(header, "modified_ns"),
    )
    if not exists and setup.made_from:
        problem = ""
    problem = problem or _no_model(path, header)
    if problem or not exists:
        return Weights(
            path=path, exists=exists, problem=problem, written_on_start=bool(setup.made_from)
        )
    context = setup.context or _whole(header, "context_length")
    bytes_per_token = kv_bytes_per_token(header, setup)
    remedy, keepable = _keepable(header, setup, model)
    return Weights(
        path=path, exists=True, size=size, modified_ns=modified_ns, architecture=str(header.get("architecture", "")),
        context=context, kv_bytes_per_token=bytes_per_token,
        memory_bytes=int((_whole(header, "tensor_bytes") + context * bytes_per_token) * SPARE) + COMPUTE_BYTES,
        keepable=keepable, remedy=remedy, written_on_start=bool(setup.made_from),
    )  # fmt: skip


def unreadable(flag: str, answer: Fact[Header]) -> str:
    """Return why a file that a flag names cannot be read, empty when it can or nobody knows."""
    problem = "" if isinstance(answer, Unknown) else str(answer.value.get("problem", ""))
    words = problem.removeprefix("the weights ").replace("the weights' part", "its part", 1)
    return f"{flag}: {words}" if words else ""


def _no_model(path: str, header: Header) -> str:
    """Return why a GGUF file is none that can be served, empty when it can."""
    kind = "mmproj" if header.get("architecture") == "clip" else str(header.get("type", ""))
    return (
        f"the weights {path} are no model but a part of one ({kind}); name it in args of its model"
        if kind in PARTS
        else ""
    )


def kv_bytes_per_token(header: Header, setup: Setup) -> int:
    """Return what one token takes in the cache, with the cache types of `args`.

    The header counts half precision.
    """
    keys, values = _whole(header, "key_length"), _whole(header, "value_length")
    key_bytes, value_bytes = cache_bytes(setup.args)
    numbers = _whole(header, "kv_bytes_per_token") / 2
    return (
        int(numbers * (keys * key_bytes + values * value_bytes) / (keys + values))
        if keys + values
        else 0
    )


def _keepable(header: Header, setup: Setup, model: ModelSpec) -> tuple[str, bool]:
    """Return what would help and whether a restored slot is reused (measured per architecture)."""
    if model.task not in {"chat", "completion"} or header.get("recurrent") is True:
        return "", False
    if _whole(header, "sliding_window") and not has(setup.args, "--swa-full"):
        return 'add "--swa-full" to args', False
    return "", True


def _whole(header: Header, key: str) -> int:
    value = header.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
