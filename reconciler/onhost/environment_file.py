"""The variables of an EnvironmentFile=, as systemd reads them (systemd.exec(5), tried with 252)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLANK = r"[ \t\r]"
_ESCAPE = r"\\(?:.|\Z)"
_SINGLE = r"'([^']*)(?:'|\Z)"
_DOUBLE = rf'"((?:[^"\\]|{_ESCAPE})*)(?:"|\Z)'
_REST = rf"(?:[^\\\n]|{_ESCAPE})*"
_LINE = re.compile(
    rf"\s*(?:[#;]{_REST}|(?P<name>[^=\n]*)(?:=(?P<quoted>(?:{_BLANK}|{_SINGLE}|{_DOUBLE})*)"
    rf"(?P<plain>{_REST}))?)(?:\n|\Z)",
    re.DOTALL,
)
_PART = re.compile(f"{_SINGLE}|{_DOUBLE}", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_END = re.compile(rf"(?<!\\){_BLANK}+\Z")
_ESCAPED = re.compile(r"\\(.|\Z)", re.DOTALL)
_ESCAPED_IN_QUOTES = re.compile(r'\\(["\\`$\n]|\Z)')


def assigned(text: str) -> Iterator[tuple[str, str]]:
    """Yield each variable and its value; what is no assignment is passed over, as systemd does."""
    for line in _LINE.finditer(text):
        name = (line["name"] or "").strip()
        if line["plain"] is not None and _NAME.fullmatch(name):
            yield name, _quoted(line["quoted"]) + _plain(line["plain"])


def _quoted(text: str) -> str:
    """Read what stands in quotes at the beginning of a value, where blanks beside them are none."""
    return "".join(map(_unquoted, _PART.finditer(text)))


def _unquoted(part: re.Match[str]) -> str:
    single, double = part.groups()
    return single if double is None else _ESCAPED_IN_QUOTES.sub(_kept, double)


def _plain(text: str) -> str:
    """Read the rest of a value, in which quotes are characters as any other."""
    return _ESCAPED.sub(_kept, _END.sub("", text))


def _kept(escape: re.Match[str]) -> str:
    """The character that is escaped; a line that goes on has none."""
    return "" if escape[1] == "\n" else escape[1]
