"""Visitor: the requests of one connection; one that says what the last one said is judged alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler.gateway.head import RequestHead, given_id, new_id
from reconciler.gateway.judged import AdmittedRequest, Judged

if TYPE_CHECKING:
    from reconciler.gateway.doorkeeper import Doorkeeper, Entry, Ground
    from reconciler.gateway.keys import Requester


class Precedent(NamedTuple):
    """The judgement of a request that was let in, the name it was given, and what that stood on."""

    judged: Judged
    requester: Requester
    given: bytes
    ground: Ground


class Visitor:
    """Who asks over one connection."""

    def __init__(self, doorkeeper: Doorkeeper, entry: Entry) -> None:
        self._doorkeeper, self._entry = doorkeeper, entry
        self._last: Precedent | None = None

    def judge(self, head: RequestHead) -> Judged:
        """Judge a head."""
        ground, judged = self._doorkeeper.ground, self._doorkeeper.judge(head, self._entry)
        self._last = None
        if ground is not None and isinstance(judged.found, AdmittedRequest):
            self._last = Precedent(judged, judged.found.requester, given_id(head), ground)
        return judged

    def again(self, length: int) -> Judged | None:
        """Judge a head that says what the last one said, but for this length of its body.

        None where it has to be read once more.
        """
        last = self._last
        # Of a request with a body more is asked than of one without.
        if last is None or bool(length) != bool(last.judged.length):
            return None
        if not self._doorkeeper.lets_in(last.requester, last.ground):
            return None
        return last.judged.again(last.given or new_id(), length)
