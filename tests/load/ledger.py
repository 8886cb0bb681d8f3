"""Ledger: all that was asked, answered and seen during a load, by the clock of the journal's rows.

Moments are seconds since boot.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


def now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


LEFT = "left"
"""The error of a client that went before its answer came."""


class Wish(NamedTuple):
    """What a client wants to know; it may have to ask several times."""

    nonce: str
    model: str
    prompt: int
    streams: bool


class Answer(NamedTuple):
    """What an HTTP exchange came to: `endings` counts [DONE], `trouble` is what should not be."""

    status: int
    text: str
    name: str
    endings: int
    trouble: str = ""


class Sent(NamedTuple):
    """A wish that is sent."""

    wish: Wish
    at: float


class Came(NamedTuple):
    """How a sending ended: with an answer, with an error of the connection, or LEFT."""

    nonce: str
    at: float
    answer: Answer | None
    error: str = ""


class Noted(NamedTuple):
    """A row of the journal."""

    seq: int
    at: float
    kind: str
    step: str = ""
    model: str = ""
    said: str = ""


class Down(NamedTuple):
    """A kill: when the signal was sent, when the process had ended, when the next one listened."""

    since: float
    dead: float
    until: float


class Look(NamedTuple):
    """The units that ran at a moment, as (model, pid)."""

    at: float
    units: frozenset[tuple[str, int]]


@dataclass
class Ledger:
    """One load. `known` are each model's answers to the prompts, `patience` the longest wait."""

    seed: int
    known: Mapping[str, tuple[str, ...]]
    patience: float
    sent: list[Sent] = field(default_factory=list)
    came: list[Came] = field(default_factory=list)
    rows: list[Noted] = field(default_factory=list)
    downs: list[Down] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
