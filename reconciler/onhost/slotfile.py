"""What llama.cpp's server writes at the head of a slot file: the tokens that the slot held.

Versions say little: one number had two layouts, one layout has two numbers. Both begin with magic
and version. Then b10092 has the count and the tokens; b10434 (version 2) and b11549 (version 4)
have the length of a record, which begins with -1, 1, the count and the tokens.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, NamedTuple

from reconciler.onhost.problem import HostProblem

TOKENS_LIMIT = 2 * 1024 * 1024

_MAGIC = 0x67677371
_WORD = 4
_BEFORE, _BEFORE_WRAPPED = 3, 6
"""How many words stand before the tokens."""
_PLAIN = 2
"""The version that was seen to have the count without a record around it."""
_WRAPPED = (-1, 1)
"""What stands before the count where a server wraps its tokens into a record of its own."""


def tokens(file: BinaryIO, count: int) -> tuple[list[int] | None, str]:
    """Read the `count` tokens that the engine told of at the save.

    None where they cannot be read, with words on how the file begins. Raise HostProblem where the
    layout is known, and the file holds another number of them.
    """
    head = _head(file)
    if head is None:
        return None, "it does not begin like a slot file of llama.cpp"
    held = _held(file, head.start, head.tokens)
    if head.tokens == count and held is not None:
        return held, ""
    if head.tokens == count:
        what = "and what stands in place of its tokens is none"
        return None, f"it is of version {head.version}, {what}"
    # A version alone proves no layout; tokens where the layout has them do.
    if held is not None and (head.start == _BEFORE_WRAPPED or head.version == _PLAIN):
        raise HostProblem(f"it holds {head.tokens} tokens, and its description says {count}")
    return None, f"it is of version {head.version}, whose layout is not known"


class _Head(NamedTuple):
    """How a slot file begins: its version, how many tokens it says, and the word they begin at."""

    version: int
    tokens: int
    start: int


def _head(file: BinaryIO) -> _Head | None:
    file.seek(0)
    words = _words(file.read(_BEFORE_WRAPPED * _WORD))
    if len(words) < _BEFORE or words[0] != _MAGIC:
        return None
    version, following, last = words[1], words[2], words[-1]
    # They are wrapped where a record has its marks, and is long enough for them.
    if words[3:5] == _WRAPPED and following > last + len(_WRAPPED):
        return _Head(version, last, _BEFORE_WRAPPED)
    return _Head(version, following, _BEFORE)


def _held(file: BinaryIO, start: int, count: int) -> list[int] | None:
    """Read so many tokens from a word on, None where there are none."""
    if not 0 <= count <= TOKENS_LIMIT:
        return None
    file.seek(start * _WORD)
    held = _words(file.read(count * _WORD))
    are_tokens = len(held) == count and min(held, default=0) >= 0
    return list(held) if are_tokens else None


def _words(content: bytes) -> tuple[int, ...]:
    """Split bytes into the whole words that they hold."""
    count = len(content) // _WORD
    return struct.unpack_from(f"<{count}i", content)
