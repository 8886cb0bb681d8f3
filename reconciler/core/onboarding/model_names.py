"""Model names: a model's name from the name of its file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from posixpath import basename, dirname

from reconciler.model.names import NAME_PATTERN

_SHARD = re.compile(r"-\d{5}-of-\d{5}$")
_QUANTISED = re.compile(
    r"[-._](ud-)?(i?q\d(_\w+)*|bf16|f16|fp16|f32|mxfp4(_\w+)?|nvfp4|tq\d(_\w+)*)$"
)
_SAYS_NOTHING = {"ggml-model", "model", "weights", "gguf", "ggml"}
_DIGEST = re.compile(r"[0-9a-f]{40,64}")
_OF_A_CACHE = {"", "snapshots", "blobs"}
_LONGEST = 63


def names(paths: Sequence[str], taken: Iterable[str] = ()) -> tuple[str, ...]:
    """Return a name for every path: short where that tells them apart, with the quantisation or a number where it does not."""
    short = [_short(path) for path in paths]
    used = set(taken)
    found: list[str] = []
    for path, name in zip(paths, short, strict=True):
        found.append(_free(name if short.count(name) == 1 else _full(path), used))
        used.add(found[-1])
    return tuple(found)


def slug(text: str) -> str:
    """Return a text as a name that desired.yaml may use."""
    return (
        re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:_LONGEST].strip("-._") or "model"
    )


def is_name(text: str) -> bool:
    """Return whether a text may be a model's name as it is."""
    return re.fullmatch(NAME_PATTERN, text) is not None


def _full(path: str) -> str:
    name = slug(_SHARD.sub("", basename(path).removesuffix(".gguf")))
    return _repository(path) if _DIGEST.fullmatch(name) else name


def _short(path: str) -> str:
    name = _QUANTISED.sub("", _full(path))
    return _repository(path) if name in _SAYS_NOTHING else name


def _repository(path: str) -> str:
    """Return the name of the folder that holds a file whose own name says nothing, past what a cache puts between."""
    folders = [
        part
        for part in dirname(path).split("/")
        if part not in _OF_A_CACHE and not _DIGEST.fullmatch(part)
    ]
    return slug(folders[-1].rpartition("--")[2] if folders else "")


def _free(name: str, used: set[str]) -> str:
    if name not in used:
        return name
    return next(
        f"{name[: _LONGEST - 4]}-{number}"
        for number in range(2, 1000)
        if f"{name[: _LONGEST - 4]}-{number}" not in used
    )
