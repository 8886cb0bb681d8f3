"""Processes on a host that is not there, with the conversations in their slots and slot files."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from reconciler.model.facts import TRIVIAL_TOKENS, Mark, SavedSlot, UnitIdentity

NEVER = float("inf")
TOKENS_OF_A_TURN = 10


@dataclass(frozen=True)
class Conversation:
    """All that a client has said so far: a name for it, and its length in tokens."""

    name: str
    tokens: int


@dataclass(frozen=True)
class Nature:
    """The behaviour of every engine of one command.

    Seconds count from its start, or from what it is asked.
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
    """A client that asks again and again: seconds for each answer, and before the next question."""

    answer: float
    pause: float
    until: float = NEVER


@dataclass
class FakeSlot:
    """One slot of an engine: its conversation, its last task, and until when it is busy."""

    held: Conversation | None = None
    task: int | None = None
    busy_until: float = 0.0
    chatter: Chatter | None = None

    @property
    def conversation(self) -> Conversation | None:
        """What it holds that is worth keeping."""
        return self.held if self.held and self.held.tokens > TRIVIAL_TOKENS else None

    @property
    def tokens(self) -> int | None:
        """How many tokens it holds; None when it is empty."""
        return None if self.held is None else self.held.tokens

    def is_busy(self, now: float) -> bool:
        """Whether it answers a client."""
        return self.busy_until > now

    def take(self, conversation: Conversation | None) -> None:
        """Replace the conversation, as its next task."""
        self.held = conversation
        self.task = (self.task or 0) + 1

    def tokens_of(self, conversation: Conversation) -> int:
        """Count the tokens of a conversation that it remembers."""
        if self.held is None or self.held.name != conversation.name:
            return 0
        return min(self.held.tokens, conversation.tokens)

    def goes_on(self, now: float) -> None:
        """Let its client ask all that it has asked by now; each question adds tokens."""
        while self.chatter and self.held:
            asked_at = self.busy_until + self.chatter.pause
            if asked_at > min(now, self.chatter.until):
                break
            self.take(replace(self.held, tokens=self.held.tokens + TOKENS_OF_A_TURN))
            self.busy_until = asked_at + self.chatter.answer


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
        """Whether it serves."""
        return self.ready_at <= now and not self._hangs(now)

    def _hangs(self, now: float) -> bool:
        hangs_at = self.started + self.nature.hangs_after
        return hangs_at <= now < hangs_at + self.nature.hangs_for

    def has_ended(self, now: float) -> bool:
        """Whether it is gone; its memory may be freed later."""
        return self.ends_at <= now

    def goes_on(self, now: float) -> None:
        """Let its clients ask all that they have asked by now."""
        for place in self.places:
            place.goes_on(now)

    def place_for(self, conversation: Conversation) -> FakeSlot:
        """Choose the slot that remembers a conversation, or else the one that would lose least."""
        for place in self.places:
            if place.held and place.held.name == conversation.name:
                return place
        return min(self.places, key=_worth)

    def copied(self) -> FakeProcess:
        """Make a process that is the same in everything, with its own slots."""
        return replace(self, places=[replace(place) for place in self.places])


def _worth(place: FakeSlot) -> int:
    return place.conversation.tokens if place.conversation else 0


@dataclass
class SlotFile:
    """A file in a model's slot directory: its real content, and its sidecar once it is sealed."""

    model: str
    holds: Conversation | None
    fingerprint: str
    sidecar: SavedSlot | None = None
    deadly: int = 0


@dataclass(frozen=True)
class Loss:
    """A conversation that ended with its unit, and is in no sealed file.

    `answered` and `busy` say how its slot was then.
    """

    identity: UnitIdentity
    mark: Mark
    conversation: Conversation
    answered: bool
    busy: bool
