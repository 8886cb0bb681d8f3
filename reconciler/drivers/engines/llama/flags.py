"""The flags of llama-server: which are ours, and which of the others a saved conversation needs.

Flags and what they do to slot files were measured on llama-server 0.6.0-dev, state version 4.
"""

from __future__ import annotations

import csv
import json
import re
from posixpath import join
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DOWNLOADS = (
    "-hf", "-hfr", "--hf-repo", "-hff", "--hf-file", "-mu", "--model-url", "-dr", "--docker-repo",
    "--embd-gemma-default", "--fim-qwen-1.5b-default", "--fim-qwen-3b-default",
    "--fim-qwen-7b-default", "--fim-qwen-30b-default", "--fim-qwen-7b-spec", "--fim-qwen-14b-spec",
    "--gpt-oss-20b-default", "--gpt-oss-120b-default", "--vision-gemma-4b-default",
    "--vision-gemma-12b-default",
)  # fmt: skip
"""Flags with which llama-server fetches weights itself; before a start it would not be known
whether they are there and fit."""

OURS = {
    **dict.fromkeys(("-m", "--model", *DOWNLOADS), "weights"),
    **dict.fromkeys(
        (
            "--models-dir",
            "--models-preset",
            "--models-max",
            "--models-autoload",
            "--no-models-autoload",
        ),
        "weights",
    ),
    "--random-weights": "weights",
    **dict.fromkeys(("-c", "--ctx-size"), "context"),
    **dict.fromkeys(("-np", "--parallel"), "parallel"),
    "--slot-save-path": "slots",
    "--port": "port (of the model, beside engine)",
}
"""Flags that a key of the inventory sets."""

FIRST = (
    "what is started here has to be there: download it first (`hf download`, or llama-server once"
    " by hand), remove this from args, and set the key weights to the file, which is then in"
    " ~/.cache/huggingface/hub/models--*/snapshots/*/ or ~/.cache/llama.cpp/"
)

FIXED = {
    **dict.fromkeys(("-a", "--alias"), "it is the model's name"),
    "--host": (
        "engines are reached over a TCP port on the loopback address of their host, not elsewhere"
        " or at a unix socket"
    ),
    "--reuse-port": "a port has one owner",
    "--metrics": "it is always on",
    **dict.fromkeys(("--slots", "--no-slots"), "slots are how conversations are seen"),
    **dict.fromkeys(
        ("-fit", "--fit"), "it is off: a context that changes between starts loses conversations"
    ),
    **dict.fromkeys(("-cram", "--cache-ram"), "it is 0: what is moved there cannot be saved"),
    **dict.fromkeys(
        ("--cache-idle-slots", "--no-cache-idle-slots"),
        "it is off: idle conversations would be cleared",
    ),
    **dict.fromkeys(
        ("--api-key", "--api-key-file"),
        "its key is named with `key:`, which keeps it off the command line",
    ),
    **dict.fromkeys(
        ("-h", "--help", "--usage", "--version", "--list-devices"),
        "the program would print that and end",
    ),
    **dict.fromkeys(
        ("-cl", "--cache-list", "--completion-bash", "--license"),
        "the program would print that and end",
    ),
    **dict.fromkeys(
        ("--api-prefix", "--ssl-key-file", "--ssl-cert-file"),
        "the engine is reached at the root of plain http",
    ),
}
"""Flags whose value is not open to choice, and why."""

CACHE_BYTES = {
    "f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32, "q4_1": 20 / 32,
    "iq4_nl": 18 / 32, "q5_0": 22 / 32, "q5_1": 24 / 32,
}  # fmt: skip
"""Bytes for each number in the KV cache, by cache type."""

_FULL_NAMES = {
    "-c": "--ctx-size", "-np": "--parallel", "-cram": "--cache-ram", "-fit": "--fit",
    "-ctk": "--cache-type-k", "-ctv": "--cache-type-v", "-fa": "--flash-attn", "-mm": "--mmproj",
    "-md": "--model-draft", "--spec-draft-model": "--model-draft", "-jf": "--json-schema-file",
    "-lcs": "--lookup-cache-static", "-lcd": "--lookup-cache-dynamic",
    "--webui-config-file": "--ui-config-file", "-ngl": "--gpu-layers",
    "--n-gpu-layers": "--gpu-layers", "-sm": "--split-mode", "-ts": "--tensor-split",
    "-mg": "--main-gpu", "-dev": "--device", "-ot": "--override-tensor", "-nkvo": "--no-kv-offload",
    "-ncmoe": "--n-cpu-moe", "-cmoe": "--cpu-moe", "-kvu": "--kv-unified",
    "-no-kvu": "--no-kv-unified",
}  # fmt: skip
_MATTER = (
    "--cache-type-", "--flash-attn", "--swa-full", "--rope-", "--yarn-", "--override-",
    "--control-vector", "--lora", "--mmproj", "--gpu-layers", "--split-mode", "--tensor-split",
    "--main-gpu", "--device", "--no-kv-offload", "--n-cpu-moe", "--cpu-moe",
)  # fmt: skip
_STATE_FILES = (
    "--lora",
    "--lora-scaled",
    "--control-vector",
    "--control-vector-scaled",
    "--mmproj",
)
_LISTS = ("--lora", "--lora-scaled", "--control-vector", "--control-vector-scaled")

PlaceKind: TypeAlias = Literal["gguf", "file", "folder"]

READ: dict[str, PlaceKind] = {
    **dict.fromkeys((*_STATE_FILES, "--model-draft"), "gguf"),
    **dict.fromkeys(
        ("--chat-template-file", "--grammar-file", "--json-schema-file", "--lookup-cache-static"),
        "file",
    ),
    **dict.fromkeys(("--ui-config-file", "--mcp-servers-config"), "file"),
    **dict.fromkeys(("--path", "--media-path"), "folder"),
}
"""Flags that name what must be there before the program starts. Source: --help of b10434 (August
2026), and a start without."""

WRITTEN = ("--log-file", "--log-prompts-dir", "--lookup-cache-dynamic")
"""Flags that name what the program makes itself."""

_JOINED = re.compile(r"(--?[A-Za-z][\w.-]*)\s+(.*)", re.DOTALL)
_GLUED = re.compile(r"(-[a-z]+)=?[0-9].*")
_NUMBER = re.compile(r"-[0-9.].*", re.DOTALL)
_LONG_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
"""What word processors and web pages make of dashes."""


class GivenFlag(NamedTuple):
    """One flag under its full name, with the words that follow it."""

    name: str
    values: tuple[str, ...]


class FlagPath(NamedTuple):
    """A file or folder that a flag names.

    A relative path is taken from the model's own directory.
    """

    flag: str
    path: str
    kind: PlaceKind


def refused(args: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each word of `args` that no operator may set, or that is no flag."""
    if args and not args[0].startswith(("-", *_LONG_DASHES)):
        yield f"{args[0]} stands before every flag; a flag begins with a dash"
    yield from (said for word in args if (said := _not_theirs(word) or _not_a_flag(word)))


def _not_theirs(word: str) -> str:
    name = _name(word)
    if name in DOWNLOADS:
        return f"{word} downloads weights, and {FIRST}"
    if name in OURS:
        return f"{word} is set by the key {OURS[name]}; remove it from args and set that"
    return f"{word} cannot be set in args: {FIXED[name]}" if name in FIXED else ""


def _not_a_flag(word: str) -> str:
    if joined := _JOINED.fullmatch(word):
        parts = _quoted([part for part in joined.groups() if part])
        return f"{_quoted(word)} is one word, expected {parts[1:-1]}"
    if word.startswith(tuple(_LONG_DASHES)):
        return f"{word} begins with a long dash, expected - or --"
    return ""


def _quoted(words: str | list[str]) -> str:
    return json.dumps(words, ensure_ascii=False)


def _name(word: str) -> str:
    """Find which flag a word is meant to be, however it is spelled."""
    joined = _JOINED.fullmatch(word)
    name = (joined[1] if joined else word).partition("=")[0]
    # llama-server takes `--ctx_size` for `--ctx-size`.
    if name.startswith("--"):
        return name.replace("_", "-")
    glued = _GLUED.fullmatch(name)
    return glued[1] if glued and glued[1] in {*OURS, *FIXED} else name


def full_name(name: str) -> str:
    """Spell a flag by its long name, with dashes."""
    name = name.replace("_", "-") if name.startswith("--") else name
    return _FULL_NAMES.get(name, name)


def flags(args: Sequence[str]) -> list[GivenFlag]:
    """Find the flags among `args`.

    `--flag=value` and `--flag value` are the same, a negative number is a value.
    """
    found: list[GivenFlag] = []
    for word in args:
        if word.startswith("-") and not _NUMBER.fullmatch(word):
            name, equals, value = word.partition("=")
            found.append(GivenFlag(full_name(name), (value,) if equals else ()))
        elif found:
            found[-1] = GivenFlag(found[-1].name, (*found[-1].values, word))
    return found


def has(args: Sequence[str], name: str) -> bool:
    """Whether a flag, by its full name, is among `args`."""
    return any(flag.name == name for flag in flags(args))


def last_value(args: Sequence[str], name: str, otherwise: str) -> str:
    """Find the first word of the last flag with this full name."""
    given = [flag.values[0] for flag in flags(args) if flag.name == name and flag.values]
    return given[-1] if given else otherwise


def state_flags(args: Sequence[str], parallel: int) -> tuple[str, ...]:
    """Choose what of a command line a slot file depends on, in one spelling and order."""
    # Slots that share one unified cache write the same files as a single slot; separate caches
    # depend on their number.
    matter = [flag for flag in flags(args) if flag.name.startswith(_MATTER)]
    # Among equal flags the last one wins, so that these keep their order.
    matter.sort(key=lambda flag: flag.name)
    kept = (" ".join((flag.name, *flag.values)) for flag in matter)
    return (*kept, f"streams {1 if is_unified(args, parallel) else parallel}")


def is_unified(args: Sequence[str], parallel: int) -> bool:
    """Whether all slots share one cache, each as large as the context."""
    return has(args, "--kv-unified") or parallel == 1


def state_files(args: Sequence[str], directory: str) -> tuple[str, ...]:
    """List the files beside the weights that change what a slot holds.

    Relative paths are taken from `directory`.
    """
    return tuple(
        join(directory, place.path) for place in places(args) if place.flag in _STATE_FILES
    )


def places(args: Sequence[str]) -> list[FlagPath]:
    """List each file and folder that must be there before a program with these `args` starts."""
    named = [flag for flag in flags(args) if flag.name in READ and flag.values]
    return [FlagPath(flag.name, path, READ[flag.name]) for flag in named for path in _paths(flag)]


def _paths(flag: GivenFlag) -> list[str]:
    if flag.name not in _LISTS:
        return [flag.values[0]]
    parts = next(csv.reader([flag.values[0]]))
    return [_unscaled(part) for part in parts] if flag.name.endswith("-scaled") else parts


def _unscaled(part: str) -> str:
    return part.rpartition(":")[0] or part


def cache_bytes(args: Sequence[str]) -> tuple[float, float]:
    """Look up the bytes of one number among the keys and among the values of the cache."""
    return _bytes(args, "--cache-type-k"), _bytes(args, "--cache-type-v")


def _bytes(args: Sequence[str], flag: str) -> float:
    # Of a type that is not known here, it is estimated as of the default.
    return CACHE_BYTES.get(last_value(args, flag, "f16"), CACHE_BYTES["f16"])
