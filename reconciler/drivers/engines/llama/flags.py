"""The command line of llama-server: which flags are ours, and which of the others a saved conversation depends on.

Flags and what they do to slot files were measured on llama-server 0.6.0-dev, state version 4.
"""

from __future__ import annotations

from posixpath import join
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OURS = {
    **dict.fromkeys(("-m", "--model", "-mu", "--model-url", "-hf", "-hfr", "--hf-repo", "-hff", "--hf-file"), "weights"),
    **dict.fromkeys(("--models-dir", "--models-preset", "--models-max", "--random-weights"), "weights"),
    **dict.fromkeys(("-c", "--ctx-size"), "context"),
    **dict.fromkeys(("-np", "--parallel"), "parallel"),
    "--slot-save-path": "slots",
    "--port": "port (of the model, beside engine)",
}
"""Flags that a key of the inventory sets."""

DOWNLOADS = ("-hf", "-hfr", "--hf-repo", "-hff", "--hf-file", "-mu", "--model-url")
"""Flags with which llama-server fetches weights itself; then nobody could say before a start whether they are there and fit."""

FIRST = (
    "what is started here has to be there: download it first (`hf download`, or llama-server once by hand), remove this from "
    "args, and set the key weights to the file, which is then in ~/.cache/huggingface/hub/models--*/snapshots/*/ "
    "or ~/.cache/llama.cpp/"
)

FIXED = {
    **dict.fromkeys(("-a", "--alias"), "it is the model's name"),
    "--host": "engines listen on the loopback address of their host",
    "--metrics": "it is always on",
    **dict.fromkeys(("--slots", "--no-slots"), "slots are how conversations are seen"),
    **dict.fromkeys(("-fit", "--fit"), "it is off: a context that changes between starts loses conversations"),
    **dict.fromkeys(("-cram", "--cache-ram"), "it is 0: what is moved there cannot be saved"),
    **dict.fromkeys(("--cache-idle-slots", "--no-cache-idle-slots"), "it is off: idle conversations would be cleared"),
    **dict.fromkeys(("--api-key", "--api-key-file"), "an engine answers on loopback only"),
    **dict.fromkeys(("--api-prefix", "--ssl-key-file", "--ssl-cert-file"), "the engine is reached at the root of plain http"),
}
"""Flags whose value is not open to choice, and why."""

CACHE_BYTES = {
    "f32": 4.0, "f16": 2.0, "bf16": 2.0,
    "q8_0": 34 / 32, "q4_0": 18 / 32, "q4_1": 20 / 32, "iq4_nl": 18 / 32, "q5_0": 22 / 32, "q5_1": 24 / 32,
}  # fmt: skip
"""Bytes for each number in the KV cache, by cache type."""

_FULL_NAMES = {
    "-ctk": "--cache-type-k", "-ctv": "--cache-type-v", "-fa": "--flash-attn", "-mm": "--mmproj",
    "-ngl": "--gpu-layers", "--n-gpu-layers": "--gpu-layers", "-sm": "--split-mode", "-ts": "--tensor-split",
    "-mg": "--main-gpu", "-dev": "--device", "-ot": "--override-tensor", "-nkvo": "--no-kv-offload",
    "-ncmoe": "--n-cpu-moe", "-cmoe": "--cpu-moe", "-kvu": "--kv-unified", "-no-kvu": "--no-kv-unified",
}  # fmt: skip
_MATTER = (
    "--cache-type-", "--flash-attn", "--swa-full", "--rope-", "--yarn-", "--override-", "--control-vector", "--lora",
    "--mmproj", "--gpu-layers", "--split-mode", "--tensor-split", "--main-gpu", "--device", "--no-kv-offload",
    "--n-cpu-moe", "--cpu-moe",
)  # fmt: skip
_FILES = ("--lora", "--lora-scaled", "--control-vector", "--control-vector-scaled", "--mmproj")


class Flag(NamedTuple):
    """Hold one flag under its full name, with the words that follow it."""

    name: str
    values: tuple[str, ...]


def refused(args: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for every word of `args` that is not theirs to set."""
    for word in args:
        name = word.partition("=")[0]
        if name in DOWNLOADS:
            yield f"{word} downloads weights, and {FIRST}"
        elif name in OURS:
            yield f"{word} is set by the key {OURS[name]}; remove it from args and set that"
        elif name in FIXED:
            yield f"{word} cannot be set in args: {FIXED[name]}"


def flags(args: Sequence[str]) -> list[Flag]:
    """Return the flags among `args`; `--flag=value` and `--flag value` are the same, a negative number is a value."""
    found: list[Flag] = []
    for word in args:
        if word.startswith("-") and not word[1:2].isdigit():
            name, equals, value = word.partition("=")
            found.append(Flag(_FULL_NAMES.get(name, name), (value,) if equals else ()))
        elif found:
            found[-1] = Flag(found[-1].name, (*found[-1].values, word))
    return found


def has(args: Sequence[str], name: str) -> bool:
    """Return whether a flag, by its full name, is among `args`."""
    return any(flag.name == name for flag in flags(args))


def last_value(args: Sequence[str], name: str, otherwise: str) -> str:
    """Return the first word of the last flag with this full name."""
    return next((flag.values[0] for flag in reversed(flags(args)) if flag.name == name and flag.values), otherwise)


def state_flags(args: Sequence[str], parallel: int) -> tuple[str, ...]:
    """Return what of a command line a slot file depends on, in one spelling and order.

    Slots that share one unified cache write the same files as a single slot; separate caches depend on their number.
    """
    unified = has(args, "--kv-unified") or parallel == 1
    matter = [flag for flag in flags(args) if flag.name.startswith(_MATTER)]
    # Among equal flags the last one wins, so that these keep their order.
    kept = (" ".join((flag.name, *flag.values)) for flag in sorted(matter, key=lambda flag: flag.name))
    return (*kept, f"streams {1 if unified else parallel}")


def state_files(args: Sequence[str], directory: str) -> tuple[str, ...]:
    """Return the files beside the weights that change what a slot holds; relative paths are taken from `directory`."""
    named = [flag for flag in flags(args) if flag.name in _FILES and flag.values]
    return tuple(join(directory, _path(flag, part)) for flag in named for part in flag.values[0].split(","))


def _path(flag: Flag, part: str) -> str:
    return part.rpartition(":")[0] or part if flag.name.endswith("-scaled") else part


def cache_bytes(args: Sequence[str]) -> tuple[float, float]:
    """Return the bytes of one number among the keys and among the values of the cache."""
    kinds = (last_value(args, f"--cache-type-{part}", "f16") for part in ("k", "v"))
    keys, values = (CACHE_BYTES.get(kind, CACHE_BYTES["f16"]) for kind in kinds)
    return keys, values
