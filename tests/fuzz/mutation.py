"""Mutations: what a corpus becomes, by chance that can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

BYTES = b"\r\n\t\x00\x0b\x0c \x1f\x7f\x80\xa0\xff:;,=+-/\\%#?.*0159aAfFxX\"'()"
MOST_AT_ONCE = 4
LONGEST_SLICE = 24

Mutation = Callable[[Random, bytes, Sequence[bytes]], bytes]


def mutated(chance: Random, corpus: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """One of the corpus, changed in a few places; now and then another follows it."""
    raw = chance.choice(corpus)
    for _ in range(chance.randint(1, MOST_AT_ONCE)):
        raw = chance.choice(MUTATIONS)(chance, raw, words)
    return raw + chance.choice(corpus) if chance.random() < 0.2 else raw


def pieces(chance: Random, raw: bytes) -> list[bytes]:
    """The same bytes as they may come over a network."""
    cuts = sorted(chance.randint(0, len(raw)) for _ in range(chance.randint(1, MOST_AT_ONCE)))
    ends = zip([0, *cuts], [*cuts, len(raw)], strict=True)
    return [raw[start:end] for start, end in ends if start < end]


def _place(chance: Random, raw: bytes) -> int:
    # Half of them near the line ends, where framing is decided.
    ends = [at for at, byte in enumerate(raw) if byte in b"\r\n:"]
    near = chance.choice(ends) + chance.randint(-1, 2) if ends and chance.random() < 0.5 else -1
    return near if 0 <= near <= len(raw) else chance.randint(0, len(raw))


def _replaced(chance: Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    at = _place(chance, raw)
    return raw[:at] + bytes([chance.choice(BYTES)]) + raw[at + 1 :]


def _inserted(chance: Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    at = _place(chance, raw)
    return raw[:at] + bytes([chance.choice(BYTES)]) + raw[at:]


def _worded(chance: Random, raw: bytes, words: Sequence[bytes]) -> bytes:
    at = _place(chance, raw)
    return raw[:at] + chance.choice(words) + raw[at:]


def _lined(chance: Random, raw: bytes, words: Sequence[bytes]) -> bytes:
    """A word as a line of its own."""
    ends = [at + 2 for at in range(len(raw)) if raw[at : at + 2] == b"\r\n"] or [0]
    at = chance.choice(ends)
    return raw[:at] + chance.choice(words).rstrip(b"\r\n") + b"\r\n" + raw[at:]


def _deleted(chance: Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    at = _place(chance, raw)
    return raw[:at] + raw[at + chance.randint(1, LONGEST_SLICE) :]


def _doubled(chance: Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    at = _place(chance, raw)
    end = at + chance.randint(1, LONGEST_SLICE)
    return raw[:end] + raw[at:end] + raw[end:]


def _cased(chance: Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    at = _place(chance, raw)
    end = at + chance.randint(1, LONGEST_SLICE)
    return raw[:at] + raw[at:end].swapcase() + raw[end:]


MUTATIONS: tuple[Mutation, ...] = (
    _replaced, _inserted, _worded, _lined, _deleted, _doubled, _cased,
)  # fmt: skip
