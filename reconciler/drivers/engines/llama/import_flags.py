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
    has,
    last_value,
)
from reconciler.model.machine import LOOPBACK, ImportedFlags

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.model.spec import Task

_SAME = {"--metrics", "--slots", "--no-cache-idle-slots", "--alias", "-a", "--port"}
"""Flags that come out as they were, or are a key of their own: nothing is lost without them."""

_AS_OURS = {
    *(("--host", place) for place in LOOPBACK),
    *(("-fit", "off"), ("--fit", "off"), ("-cram", "0"), ("--cache-ram", "0")),
}
"""Flags that nobody may choose, with the value that they have anyway."""


def adopted(words: Sequence[str], mapped: Sequence[str], directory: str) -> ImportedFlags:
    """Return what flags say.

    `mapped` are the files in the server's memory, `directory` is where relative paths begin.
    """
    found: dict[str, str] = {}
    args: list[str] = []
    left_out: list[str] = []
    for flag, *values in _typed(words):
        if flag in {"-m", "--model", "--slot-save-path"}:
            found[OURS[flag]] = _absolute("".join(values[:1]), directory)
        elif flag in {"-c", "--ctx-size", "-np", "--parallel"}:
            found[OURS[flag]] = "".join(values[:1])
        elif flag in {"-a", "--alias"}:
            found["alias"] = "".join(values[:1]).partition(",")[0]
        elif (flag, *values) in _AS_OURS:
            continue
        elif flag in FIXED and flag not in _SAME:
            left_out.append(f"{flag}: {FIXED[flag]}")
        elif flag in OURS and flag not in _SAME:
            left_out.append(f"{flag}: the key {OURS[flag]} names it")
        elif flag not in _SAME:
            names_a_place = full_name(flag) in {*READ, *WRITTEN}
            args += [flag, *(_absolute(one, directory) if names_a_place else one for one in values)]
    return ImportedFlags(
        weights=found.get("weights") or next((path for path in mapped if "mmproj" not in path), ""),
        alias=found.get("alias", ""),
        context=_whole(found.get("context", "")),
        parallel=_whole(found.get("parallel", "")),
        slots=found.get("slots", ""),
        task=task_of(words),
        args=tuple(args),
        left_out=tuple(left_out),
    )


def _typed(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield every flag as it was typed, with the words that follow it."""
    group: list[str] = []
    for word in words:
        begins = bool(flags((word,)))
        if begins and group:
            yield tuple(group)
        if begins:
            name, equals, value = word.partition("=")
            group = [name, value] if equals else [name]
        elif group:
            group.append(word)
    if group:
        yield tuple(group)


def _absolute(path: str, directory: str) -> str:
    return path if not path or isabs(path) or not directory else normpath(join(directory, path))


def _whole(text: str) -> int | None:
    """Return a number that was given; 0 and -1 leave it to the program."""
    return int(text) if text.isdecimal() and int(text) > 0 else None


def task_of(words: Sequence[str]) -> Task:
    """Return what a server is asked for.

    One that ranks gives vectors too, and is asked for what it is there for.
    """
    if (
        has(words, "--rerank")
        or has(words, "--reranking")
        or last_value(words, "--pooling", "") == "rank"
    ):
        return "rerank"
    return "embedding" if has(words, "--embedding") or has(words, "--embeddings") else "chat"
