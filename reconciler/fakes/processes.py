"""What runs on a host that is not there: processes, the conversations in their slots, and the files those are saved in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from reconciler.model.facts import Mark, SavedSlot, UnitIdentity

NEVER = float("inf")
TOKENS_OF_A_TURN = 10


@dataclass(frozen=True)
class Conversation:
    """What a client said so far: its name, and its length in tokens."""

    name: str
    tokens: int


@dataclass(frozen=True)
class Nature:
    """How engines of one command behave.

    Seconds count from their start, or from what they are asked.
    """

    loads_in: float = 1.0
    dies_after: float = NEVER
    hangs_after: float = NEVER
    hangs_for: float = NEVER
    ends_in: float = 0.2
    frees_in: float = 0.0
    restores: Literal["well", "nothing", "badly", "deadly"] = "well"
    slots: int = 1
    memory_bytes: int = 0
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chatter:
    """A client that asks again and again: each answer takes so many seconds, and the next question comes after a pause."""

    answer: float
    pause: float
    until: float = NEVER


@dataclass
class FakeSlot:
    """One slot of an engine: the conversation in it, the number of its last task, and until when it is busy."""

    held: Conversation | None = None
    task: int | None = None
    busy_until: float = 0.0
    chatter: Chatter | None = None

    def goes_on(self, now: float) -> None:
        """Let its client ask what it has asked by now: every question makes the conversation longer."""
        while (
            self.chatter
            and self.held
            and (asked_at := self.busy_until + self.chatter.pause) <= min(now, self.chatter.until)
        ):
            self.held = Conversation(self.held.name, self.held.tokens + TOKENS_OF_A_TURN)
            self.task, self.busy_until = (self.task or 0) + 1, asked_at + self.chatter.answer


@dataclass
class FakeProcess:
    """A process, or a stranger's when it has no mark."""

    identity: UnitIdentity
    mark: Mark | None
    port: int | None
    nature: Nature
    started: float
    ends_at: float
    places: list[FakeSlot] = field(default_factory=list)
    fingerprint: str = ""
    spoke: bool = False
    launcher: str = "process"

    @property
    def ready_at(self) -> float:
        """When it began, or will begin, to serve."""
        return self.started + self.nature.loads_in

    def is_ready(self, now: float) -> bool:
        """Return whether it serves."""
        hung = (
            self.started + self.nature.hangs_after
            <= now
            < self.started + self.nature.hangs_after + self.nature.hangs_for
        )
        return self.ready_at <= now and not hung


@dataclass
class SlotFile:
    """A file in a model's slot directory: what is really in it, and its sidecar once it is sealed."""

    model: str
    holds: Conversation | None
    fingerprint: str
    sidecar: SavedSlot | None = None
    deadly: int = 0


@dataclass(frozen=True)
class Loss:
    """A conversation that ended with its unit and is in no sealed file: `answered` and `busy` say how its slot was then."""

    identity: UnitIdentity
    mark: Mark
    conversation: Conversation
    answered: bool
    busy: bool
