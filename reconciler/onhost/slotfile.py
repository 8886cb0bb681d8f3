"""What llama.cpp's server writes at the head of a slot file: the tokens that the slot held.

Versions say little: one number had two layouts, one layout has two numbers. Both begin with magic
and version. Then b10092 has the count and the tokens; b10434 (version 2) and b11549 (version 4)
have the length of a record, which begins with -1, 1, the count and the tokens.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

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
    file.seek(0)
    head = _words(file.read(_BEFORE_WRAPPED * _WORD))
    if len(head) < _BEFORE or head[0] != _MAGIC:
        return None, "it does not begin like a slot file of llama.cpp"
    version, is_wrapped = head[1], _is_wrapped(head)
    found, start = (head[-1], _BEFORE_WRAPPED) if is_wrapped else (head[2], _BEFORE)
    held = _held(file, start, found)
    if found != count:
        # A version alone proves no layout; tokens where the layout has them do.
        if held is not None and (is_wrapped or version == _PLAIN):
            raise HostProblem(f"it holds {found} tokens, and its description says {count}")
        return None, f"it is of version {version}, whose layout is not known"
    if held is None:
        return None, f"it is of version {version}, and what stands in place of its tokens is none"
    return held, ""


def _is_wrapped(head: tuple[int, ...]) -> bool:
    """Whether a record of its own holds the tokens: with its marks, and long enough for them."""
    return head[3:5] == _WRAPPED and head[2] >= head[-1] + len(_WRAPPED) + 1


def _held(file: BinaryIO, start: int, count: int) -> list[int] | None:
    """Read so many tokens from a word on, None where there are none."""
    if not 0 <= count <= TOKENS_LIMIT:
        return None
    file.seek(start * _WORD)
    held = _words(file.read(count * _WORD))
    return list(held) if len(held) == count and min(held, default=0) >= 0 else None


def _words(content: bytes) -> tuple[int, ...]:
    """Split bytes into the whole words that they hold."""
    count = len(content) // _WORD
    return struct.unpack_from(f"<{count}i", content)
