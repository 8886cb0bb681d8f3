"""Answer head: what an engine's answer says of itself, and what of that goes on to a client."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from reconciler.gateway.head import HOP_BY_HOP, Field, lines_of
from reconciler.gateway.known_head import NOTHING_KNOWN, KnownHead, known_head

CODING = b"transfer-encoding"
CHUNKED = b"chunked"
LENGTH = b"content-length"
REASON = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
NOT_THE_CLIENTS = HOP_BY_HOP | {b"server", LENGTH}
"""What this proxy says itself, or nobody does; the length is passed on by itself."""

FOREIGN = b"access-control-"
"""What an engine allows other pages: that is the gateway's to say."""


EVENTS = b"text/event-stream"
BODY_AS_IT_IS = {LENGTH, b"content-encoding"}
"""With these, nothing may be put between the pieces of a body."""


class AnswerHead(NamedTuple):
    """The head of an engine's answer.

    `lines` are the `fields` that clients are given, as they are written: all but what tells
    `length`, which is as it was written, None where it was not. What `takes_events` is a stream
    into which others may be put.
    """

    status: int
    reason: bytes
    fields: tuple[Field, ...]
    lines: bytes
    length: bytes | None
    is_stream: bool = False
    takes_events: bool = False


NO_HEAD = AnswerHead(0, b"", (), b"", None)


class AnswerPrecedent(NamedTuple):
    """An answer's head that was parsed, as bytes and as what they mean."""

    known: KnownHead
    head: AnswerHead


NO_PRECEDENT = AnswerPrecedent(NOTHING_KNOWN, NO_HEAD)


def answer_head(status: int, reason: bytes, fields: Sequence[Field]) -> AnswerHead:
    """The head that a parser found these in."""
    said = {name.lower(): value for name, value in fields}
    others = tuple(field for field in fields if field[0].lower() != LENGTH)
    is_stream = said.get(b"content-type", b"").lower().startswith(EVENTS)
    return AnswerHead(
        status,
        reason,
        others,
        lines_of(for_clients(others)),
        said.get(LENGTH),
        is_stream=is_stream,
        takes_events=is_stream and BODY_AS_IT_IS.isdisjoint(said),
    )


def for_clients(fields: Iterable[Field]) -> Iterator[Field]:
    """The fields that go on to a client."""
    for name, value in fields:
        lowered = name.lower()
        if lowered not in NOT_THE_CLIENTS and not lowered.startswith(FOREIGN):
            yield name, value


def codings(head: AnswerHead) -> list[bytes]:
    """How it says that its body is framed."""
    return [value.strip(b" \t").lower() for name, value in head.fields if name.lower() == CODING]


def fault(head: AnswerHead) -> str:
    """What a head has in it that programs read differently, "" for nothing."""
    if codings(head) not in ([], [CHUNKED]):
        return "its answer has a transfer coding other than chunked"
    if not REASON.fullmatch(head.reason):
        return "its answer has control characters in its first line"
    return ""


def precedent(head: AnswerHead, fresh: bytes) -> AnswerPrecedent:
    """What later answers may go by, where this one tells its length, and came at once."""
    if head.length is None:
        return NO_PRECEDENT
    return AnswerPrecedent(known_head(fresh, len(head.fields) + 1), head)
