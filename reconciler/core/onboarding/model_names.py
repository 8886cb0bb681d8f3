"""Model names: a model's name from the name of its file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
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
    """Name every path: shortly where that tells them apart, else with quantisation or a number."""
    short = [_short(path) for path in paths]
    used = set(taken)
    found: list[str] = []
    for path, name in zip(paths, short, strict=True):
        found.append(_free(name if short.count(name) == 1 else _full(path), used))
        used.add(found[-1])
    return tuple(found)


def distinct(words: Iterable[str]) -> tuple[str, ...]:
    """Make a name of each word, with a number where another one has it."""
    used: set[str] = set()
    found: list[str] = []
    for word in words:
        found.append(_free(slug(word), used))
        used.add(found[-1])
    return tuple(found)


def slug(text: str) -> str:
    """Turn a text into a name that desired.yaml may use."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")
    return plain[:_LONGEST].strip("-._") or "model"


def is_name(text: str) -> bool:
    """Whether a text may be a model's name as it is."""
    return re.fullmatch(NAME_PATTERN, text) is not None


def _full(path: str) -> str:
    name = slug(_SHARD.sub("", basename(path).removesuffix(".gguf")))
    # A download cache names a file by its digest: the folder of the repository says what it is.
    return _repository(path) if _DIGEST.fullmatch(name) else name


def _short(path: str) -> str:
    name = _QUANTISED.sub("", _full(path))
    return _repository(path) if name in _SAYS_NOTHING else name


def _repository(path: str) -> str:
    """Name a file by the folder that holds it, past the folders that a cache puts between."""
    telling = [part for part in dirname(path).split("/") if not _is_of_a_cache(part)]
    # A cache of Hugging Face calls it models--OWNER--NAME.
    return slug(telling[-1].rpartition("--")[2] if telling else "")


def _is_of_a_cache(folder: str) -> bool:
    return folder in _OF_A_CACHE or _DIGEST.fullmatch(folder) is not None


def _free(name: str, used: set[str]) -> str:
    if name not in used:
        return name
    return next(one for one in _numbered(name) if one not in used)


def _numbered(name: str) -> Iterator[str]:
    return (f"{name[: _LONGEST - 4]}-{number}" for number in range(2, 1000))
