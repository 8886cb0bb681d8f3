"""Problems: what is wrong in what an operator wrote, by its path; the line is looked up later."""

import difflib
import json
from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeAlias

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
    """Show a value as an operator would recognise it, short enough for one line."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) <= _LONGEST_FOUND:
        return text
    # With its last character, the closing quote of a text: the sentence goes on behind it.
    return f"{text[: _LONGEST_FOUND - 4]}...{text[-1]}"


def one_of(names: Iterable[str]) -> str:
    """Join names into a phrase: `a`, `a or b`, `a, b or c`."""
    *first, last = sorted(names) or ["nothing"]
    return f"{', '.join(first)} or {last}" if first else last


def nearest(name: str, names: Iterable[str]) -> str:
    """Suggest `; did you mean "x"?` when a valid name is near, whatever its case, else nothing."""
    # In reverse, so that of two names that differ in case alone the first by sort stays.
    lower = {one.lower(): one for one in sorted(names, reverse=True)}
    near = difflib.get_close_matches(name.lower(), sorted(lower), n=1)
    return f'; did you mean "{lower[near[0]]}"?' if near else ""
