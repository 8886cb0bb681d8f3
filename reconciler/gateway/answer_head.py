"""Answer head: what an engine's answer says of itself, and what of that goes on to a client."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


class AnswerHead(NamedTuple):
    """The head of an engine's answer.

    `lines` are the `fields` that clients are given, as they are written: all but what tells
    `length`, which is as it was written, None where it was not. `said` is the last value of each
    field, by its name in lower case.
    """

    status: int
    reason: bytes
    fields: tuple[Field, ...]
    said: Mapping[bytes, bytes]
    lines: bytes
    length: bytes | None


NO_HEAD = AnswerHead(0, b"", (), {}, b"", None)


class AnswerPrecedent(NamedTuple):
    """An answer's head that was parsed, as bytes and as what they mean."""

    known: KnownHead
    parsed: AnswerHead

    def head(self, digits: bytes) -> AnswerHead:
        """The same head with another length."""
        return AnswerHead(*self.parsed[:-1], digits)


NO_PRECEDENT = AnswerPrecedent(NOTHING_KNOWN, NO_HEAD)


def answer_head(status: int, reason: bytes, fields: Sequence[Field]) -> AnswerHead:
    """The head that a parser found these in."""
    said = {name.lower(): value for name, value in fields}
    others = tuple(field for field in fields if field[0].lower() != LENGTH)
    lines = lines_of(for_clients(others))
    return AnswerHead(status, reason, others, said, lines, said.get(LENGTH))


def for_clients(fields: Iterable[Field]) -> Iterator[Field]:
    """The fields that go on to a client."""
    for name, value in fields:
        lowered = name.lower()
        if lowered not in NOT_THE_CLIENTS and not lowered.startswith(FOREIGN):
            yield name, value


def fault(head: AnswerHead) -> str:
    """What a head has in it that programs read differently, "" for nothing."""
    codings = [value for name, value in head.fields if name.lower() == CODING]
    if codings and [coding.strip(b" \t").lower() for coding in codings] != [CHUNKED]:
        return "its answer has a transfer coding other than chunked"
    if not REASON.fullmatch(head.reason):
        return "its answer has control characters in its first line"
    return ""


def precedent(head: AnswerHead, fresh: bytes) -> AnswerPrecedent:
    """What later answers may go by, where this one tells its length, and came at once."""
    if head.length is None:
        return NO_PRECEDENT
    return AnswerPrecedent(known_head(fresh, len(head.fields) + 1), head)
