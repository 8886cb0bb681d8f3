"""Variables that stand for flags of llama-server, as those flags.

Names and values as in its --help and common/arg.cpp (b10434, August 2026).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PREFIX = "LLAMA_ARG_"
_NAMED = {
    "N_PARALLEL": "parallel",
    "ROPE_SCALING_TYPE": "rope-scaling",
    "ENDPOINT_SLOTS": "slots",
    "ENDPOINT_METRICS": "metrics",
    "EMBEDDINGS": "embedding",
}
"""Those whose flag is not spelled alike."""

_SWITCHES = {
    "slots",
    "metrics",
    "embedding",
    "reranking",
    "swa-full",
    "kv-unified",
    "kv-offload",
    "cpu-moe",
    "cache-idle-slots",
}
"""The flags that take no value; `--no-` before one turns it off."""

_ON = ("on", "enabled", "true", "1")


def as_flags(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the words of the flags that variables stand for; those of a command line win."""
    for variable, value in variables.items():
        name = variable.removeprefix(_PREFIX)
        flag = _NAMED.get(name, name.lower().replace("_", "-"))
        if flag in _SWITCHES:
            yield f"--{flag}" if value.lower() in _ON else f"--no-{flag}"
        else:
            yield from (f"--{flag}", value)
