"""Visitor: the requests of one connection; one that says what the last one said is judged alike.

Who keeps a connection sends the same head each time, but for the length of the body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler.gateway.head import Field, RequestHead, given_id, is_length, new_id
from reconciler.gateway.judged import AdmittedRequest, Judged

if TYPE_CHECKING:
    from reconciler.gateway.doorkeeper import Doorkeeper, Entry, Ground

LENGTH = b"content-length"


class Precedent(NamedTuple):
    """A request that was let in, and what that stood on.

    Its length stood at `length_at` among the `others`, or would.
    """

    head: RequestHead
    length_at: int
    others: tuple[Field, ...]
    admitted: AdmittedRequest
    judged: Judged
    given: bytes
    ground: Ground

    def length(self, head: RequestHead) -> int | None:
        """How long the body is behind a head that says the same, None for any other head."""
        same, at, fields = self.head, self.length_at, head.fields
        if head.target != same.target or head.method != same.method or head.version != same.version:
            return None
        if fields[:at] + fields[at + 1 :] != self.others:
            return None
        length = _number(*fields[at]) if at < len(fields) else 0
        # Of a request with a body more is asked than of one without.
        return length if bool(length) == bool(self.judged.length) else None


def _number(name: bytes, value: bytes) -> int | None:
    return int(value) if name.lower() == LENGTH and is_length(value) else None


class Visitor:
    """Who asks over one connection."""

    def __init__(self, doorkeeper: Doorkeeper, entry: Entry) -> None:
        self._doorkeeper, self._entry = doorkeeper, entry
        self._last: Precedent | None = None

    def judge(self, head: RequestHead) -> Judged:
        """Judge a head."""
        last = self._last
        length = last.length(head) if last is not None else None
        if last is None or length is None or not self._stands(last):
            return self._judged(head)
        return last.judged._replace(name=last.given or new_id(), length=length)

    def _stands(self, last: Precedent) -> bool:
        return self._doorkeeper.lets_in(last.admitted.requester, last.ground)

    def _judged(self, head: RequestHead) -> Judged:
        ground, judged = self._doorkeeper.ground, self._doorkeeper.judge(head, self._entry)
        self._last = _precedent(head, judged, ground)
        return judged


def _precedent(head: RequestHead, judged: Judged, ground: Ground | None) -> Precedent | None:
    """What later requests may go by, None where this one was not let in, or comes in chunks."""
    admitted = judged.found
    if ground is None or judged.length is None or not isinstance(admitted, AdmittedRequest):
        return None
    names = [name.lower() for name, _ in head.fields]
    at = names.index(LENGTH) if LENGTH in names else len(names)
    others = head.fields[:at] + head.fields[at + 1 :]
    return Precedent(head, at, others, admitted, judged, given_id(head), ground)
