"""What a container wrote, as its engine tells it: frames of lines, each with its moment."""

from __future__ import annotations

import calendar
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LINE_LIMIT = 4096
_HEAD = 8
_SIZE = slice(4, 8)
_SECOND = 1_000_000_000
_MARGIN = _SECOND // 20
"""By how much a container's first words may be older than what is called its start: the engine
notes that once the process runs."""


class Span(NamedTuple):
    """What is asked of a log, `since` a moment, and which of it counts: what is `after` one."""

    since: str
    after: str


def span(first: str, end: str, run: str, *, by_second: bool) -> Span:
    """Find what follows the `end` of an earlier answer, or without one what is after `first`."""
    if not by_second:
        return Span(end or first, end or first)
    moment, _, of = end.partition(" ")
    if of != run:
        return Span(first, "")
    # Lines are counted from the beginning of their second, or of their run.
    second = shown(nanoseconds(moment) // _SECOND * _SECOND)
    return Span(max(first, second, key=nanoseconds), moment)


def end_of(moment: str, run: str, *, by_second: bool) -> str:
    """Write where an answer ended: its last line's moment, and its run where that is needed."""
    return f"{moment} {run}" if by_second else moment


def written(content: bytes, after: str, *, is_tty: bool) -> list[tuple[str, str]]:
    """Read the lines that were written after a moment, each behind its own.

    A container with a terminal is told without frames.
    """
    parts = [content] if is_tty else _frames(content)
    # Only this ends a line: behind anything else stands no moment, but what a program wrote.
    lines = [line for part in parts for line in part.decode("utf-8", "replace").split("\n")]
    pairs = _told_apart(line.partition(" ") for line in lines if line)
    last = nanoseconds(after)
    return [(at, line.rstrip("\r")[:LINE_LIMIT]) for at, line in pairs if nanoseconds(at) > last]


def _told_apart(lines: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str]]:
    """Yield each line behind a moment of its own, also where only its second is told."""
    second, number = "", 0
    for at, _, line in lines:
        number = number + 1 if at == second else 1
        second = at
        yield (at if "." in at else f"{at.rstrip('Z')}.{number:09}Z"), line


def _frames(content: bytes) -> Iterator[bytes]:
    at = 0
    while at + _HEAD <= len(content):
        size = int.from_bytes(content[at : at + _HEAD][_SIZE], "big")
        yield content[at + _HEAD : at + _HEAD + size]
        at += _HEAD + size


def begun(state: dict[str, Any]) -> str:
    """Find the moment after which all lines are of the newest run."""
    start, end = state["StartedAt"], state["FinishedAt"]
    # The end of the run before, or, where this one has ended too, as close as it can be told.
    last = nanoseconds(end)
    return end if last < nanoseconds(start) else shown(nanoseconds(start) - _MARGIN)


def moment(text: str) -> str:
    """Write a moment as a request takes it: seconds since the epoch, with a fraction."""
    seconds, rest = divmod(max(0, nanoseconds(text)), _SECOND)
    return f"{seconds}.{rest:09}"


def nanoseconds(text: str) -> int:
    """Read a moment as an engine writes it (RFC 3339, in UTC): nanoseconds since the epoch.

    What cannot be read was never.
    """
    day, _, fraction = text.rstrip("Z").partition(".")
    try:
        seconds = calendar.timegm(time.strptime(day, "%Y-%m-%dT%H:%M:%S"))
        return seconds * _SECOND + int(fraction[:9].ljust(9, "0"))
    except ValueError:
        return 0


def shown(moment_ns: int) -> str:
    """Write a moment as an engine does."""
    seconds, rest = divmod(max(0, moment_ns), _SECOND)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09}Z"
