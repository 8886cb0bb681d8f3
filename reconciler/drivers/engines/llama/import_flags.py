"""Read the flags of a running llama-server as the keys that would start it again."""

from __future__ import annotations

from posixpath import isabs, join, normpath
from typing import TYPE_CHECKING

from reconciler.drivers.engines.llama.flags import (
    FIXED,
    OURS,
    READ,
    WRITTEN,
    flags,
    full_name,
    last_value,
)
from reconciler.model.machine import LOOPBACK, ImportedFlags

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.model.spec import Task

_SAME = {"--metrics", "--slots", "--no-cache-idle-slots", "--alias", "-a", "--port"}
"""Flags that come out as they were, or have their own key: nothing is lost without them."""

_AS_OURS = {
    *(("--host", place) for place in LOOPBACK),
    *(("-fit", "off"), ("--fit", "off"), ("-cram", "0"), ("--cache-ram", "0")),
}
"""Flags that are not open to choice, with the value that they have anyway."""


def adopted(words: Sequence[str], mapped: Sequence[str], directory: str) -> ImportedFlags:
    """Translate flags into keys.

    `mapped` are the files in the server's memory, `directory` is where relative paths begin.
    """
    typed = list(_typed(words))
    found = dict(pair for one in typed if (pair := _key(one, directory)))
    others = [one for one in typed if not _key(one, directory) and one not in _AS_OURS]
    chosen = [one for one in others if one[0] not in _SAME]
    return ImportedFlags(
        weights=found.get("weights") or _weights_among(mapped),
        alias=found.get("alias", ""),
        context=_whole(found.get("context", "")),
        parallel=_whole(found.get("parallel", "")),
        slots=found.get("slots", ""),
        task=task_of(words),
        args=tuple(word for one in chosen if not _why_not(one[0]) for word in _arg(one, directory)),
        left_out=tuple(f"{flag}: {why}" for flag, *_ in chosen if (why := _why_not(flag))),
    )


def _key(typed: tuple[str, ...], directory: str) -> tuple[str, str] | None:
    """Find the key that a flag stands for, and its value."""
    flag, value = typed[0], "".join(typed[1:2])
    if flag in {"-m", "--model", "--slot-save-path"}:
        return OURS[flag], _absolute(value, directory)
    if flag in {"-c", "--ctx-size", "-np", "--parallel"}:
        return OURS[flag], value
    return ("alias", value.partition(",")[0]) if flag in {"-a", "--alias"} else None


def _why_not(flag: str) -> str:
    """Explain why a flag cannot be kept in `args`, if it cannot."""
    if flag in FIXED:
        return FIXED[flag]
    return f"the key {OURS[flag]} names it" if flag in OURS else ""


def _arg(typed: tuple[str, ...], directory: str) -> Iterator[str]:
    flag, *values = typed
    names_a_place = full_name(flag) in {*READ, *WRITTEN}
    yield flag
    yield from (_absolute(value, directory) if names_a_place else value for value in values)


def _weights_among(mapped: Sequence[str]) -> str:
    # A projector for pictures is mapped beside the weights, and is named so by custom.
    return next((path for path in mapped if "mmproj" not in path), "")


def _typed(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield every flag as it was typed, with the words that follow it."""
    group: list[str] = []
    for word in words:
        if not flags((word,)):
            group += [word] if group else []
            continue
        if group:
            yield tuple(group)
        name, equals, value = word.partition("=")
        group = [name, value] if equals else [name]
    if group:
        yield tuple(group)


def _absolute(path: str, directory: str) -> str:
    return path if not path or isabs(path) or not directory else normpath(join(directory, path))


def _whole(text: str) -> int | None:
    # 0 and -1 leave the number to the program.
    return int(text) if text.isdecimal() and int(text) > 0 else None


def task_of(words: Sequence[str]) -> Task:
    """Find what a server is asked for."""
    given = {flag.name for flag in flags(words)}
    # One that ranks gives vectors too, and is asked for what it is there for.
    if given & {"--rerank", "--reranking"} or last_value(words, "--pooling", "") == "rank":
        return "rerank"
    return "embedding" if given & {"--embedding", "--embeddings"} else "chat"
