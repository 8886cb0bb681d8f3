"""Problems: what is wrong in what an operator wrote, before anyone looks up the line."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

FileName: TypeAlias = Literal["desired", "inventory"]
KeyPath: TypeAlias = tuple[str | int, ...]

_LONGEST_FOUND = 60


class Problem(NamedTuple):
    """What is wrong at a path of one file. `at_key` points at the key, otherwise at its value."""

    file: FileName
    path: KeyPath
    sentence: str
    at_key: bool = False


def found(value: object) -> str:
    """Return a value as an operator would recognise it, short enough for one line."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_FOUND else f"{text[: _LONGEST_FOUND - 4]}...{text[-1]}"


def one_of(names: Iterable[str]) -> str:
    """Return names as a phrase: `a`, `a or b`, `a, b or c`."""
    *first, last = sorted(names) or ["nothing"]
    return f"{', '.join(first)} or {last}" if first else last


def nearest(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean "x"?` when something valid is near, whatever its case, else nothing."""
    lower = {one.lower(): one for one in sorted(names, reverse=True)}
    near = difflib.get_close_matches(name.lower(), sorted(lower), n=1)
    return f'; did you mean "{lower[near[0]]}"?' if near else ""
