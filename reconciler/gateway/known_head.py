"""Known head: the bytes of a head that was parsed; the same bytes are read as they were read then.

Who keeps a connection sends the same head each time, but for the length of the body.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from reconciler.gateway.head import LONGEST_NUMBER, is_length

LENGTH = b"\r\ncontent-length:"
LINE_END, HEAD_END = b"\r\n", b"\r\n\r\n"
OTHER_LINES = 2
"""The lines of a head beside its fields: the first, and the empty one."""


Sized: TypeAlias = tuple[int, bytes, int]
"""Of a head that is known, at the front of what came: the length of the body, the same as it was
written, b"" where it was not, and the length of the head."""


class KnownHead(NamedTuple):
    """All of a head but the digits of its length."""

    before: bytes
    behind: bytes

    def found(self, received: bytes) -> Sized | None:
        """What a head says that differs in its length at most, None for any other bytes."""
        if not self.before or not received.startswith(self.before):
            return None
        begin = len(self.before)
        if not self.behind:
            return 0, b"", begin
        end = received.find(self.behind, begin, begin + LONGEST_NUMBER + len(self.behind))
        if end < 0:
            return None
        digits = received[begin:end]
        return (int(digits), digits, end + len(self.behind)) if digits.isdigit() else None


NOTHING_KNOWN = KnownHead(b"", b"")


def known_head(received: bytes, fields: int) -> KnownHead:
    """The head at the front of what came, which a parser found so many fields in.

    Nothing where not every line ends as it should: where it ends would be a guess.
    """
    head = received[: received.find(HEAD_END) + len(HEAD_END)]
    lines = head.count(LINE_END)
    if lines != fields + OTHER_LINES or head.count(b"\n") != lines or head.count(b"\r") != lines:
        return NOTHING_KNOWN
    lowered = head.lower()
    at = lowered.find(LENGTH)
    if at < 0:
        return KnownHead(head, b"")
    end = head.index(LINE_END, at + len(LENGTH))
    digits = head[at + len(LENGTH) : end].strip(b" \t")
    begin = head.index(digits, at + len(LENGTH))
    is_one = lowered.find(LENGTH, end) < 0 and is_length(digits)
    return KnownHead(head[:begin], head[begin + len(digits) :]) if is_one else NOTHING_KNOWN
