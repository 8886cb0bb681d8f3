"""Facts: what was seen of the world, and the map that holds them.

A fact is Known, Predicted (by a step that has not run yet) or Unknown. Unknown is never the same as
absent.
"""

from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from pydantic import Field

from reconciler.model.machine import Obstacle
from reconciler.model.names import Value
from reconciler.model.reason import Reason
from reconciler.model.spec import Kind, ModelSpec

T_co = TypeVar("T_co", covariant=True)

TRIVIAL_TOKENS = 8
"""A slot that holds at most this many tokens holds no conversation: a health canary leaves fewer,
re-reading them is free."""


PROCESS = Kind(kind="process")
"""What holds a unit of which nothing else is told: the mark that it carries is in its own
environment."""


@dataclass(frozen=True, slots=True)
class Known(Generic[T_co]):
    """A value that was observed `at` seconds of the controller's boot clock."""

    value: T_co
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Predicted(Generic[T_co]):
    """A value that the step `by` will bring about."""

    value: T_co
    by: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The reason why something could not be observed, and since when (boot clock seconds)."""

    reason: str
    since: float = 0.0


Fact: TypeAlias = Known[T_co] | Predicted[T_co] | Unknown

Phase: TypeAlias = Literal[
    "absent",
    "loading",
    "ready",
    "sleeping",
    "busy",
    "other",
    "locked",
    "unclear",
    "unresponsive",
    "stranger",
]
"""How far an engine is. `busy` is at work for others and has not come to us, `other` serves
something else than the inventory says, `locked` refuses to be looked at (a key, TLS), and `unclear`
answers as no engine does that works: those live. Only `unresponsive` (silence, or no HTTP) and
`stranger` (another process has the port) are reasons to replace a unit."""


class Contact(Value):
    """A host answered: which boot it is in."""

    boot_id: str


class Claim(Value):
    """The controller that acts on a host: its id, host name, data directory and boot.

    `boot` is that of the controller's machine, empty in a claim of an earlier version.
    """

    controller: str
    name: str
    directory: str
    boot: str = ""
    at: float


class UnitIdentity(Value):
    """What tells one process from every other, also after its pid was reused.

    `start` is in clock ticks since boot, `inode` the pidfd's (unique on Linux 6.9 and later,
    constant before), `invocation` what tells this run of a service or a container from its others.
    One that waits to be started again has the pid 0.
    """

    pid: int
    start: int
    inode: int
    boot_id: str
    invocation: str = ""


class Mark(Value):
    """Who started a unit, for which model and from which command.

    It also keeps what only the definition of that time could tell: where the unit listens (`port`,
    None: not known), where it saves conversations (`slots`), and the digest of all that those
    depend on (`fingerprint`, empty: not known, or it keeps none).
    """

    controller: str
    model: str
    digest: str
    port: int | None = None
    slots: str = ""
    fingerprint: str = ""

    def fingerprint_apart(self, digest: str) -> str:
        """What conversations depend on, empty where the definition with this digest tells it."""
        # Asked of the unit, so that an edit of `args` does not end its conversations (ADR 0013).
        return self.fingerprint if self.digest != digest else ""


class Unit(Value):
    """A running unit.

    `leader` is False when only members of its group are left, or it waits to be started again.
    `launcher` holds it: its kind, and what it was told of the unit. `ended` is how its main process
    ended, as a clause, where the launcher knows that and waits to start it again. `argv` is what
    really runs where its command line is not ours, empty where it is. `image` is the id of what it
    was made of, empty where it is of none. `uptime` is in seconds, `started_at` the host's wall
    clock at its start, None when that is not known. `returns` says what starts it again by itself
    after it was stopped, then or at boot, and what keeps it down, `locked` what would refuse a stop
    now, both empty for nothing. `notes` are sentences about what its launcher cannot see.
    """

    identity: UnitIdentity
    mark: Mark
    members: tuple[int, ...]
    uptime: float
    started_at: float | None = None
    leader: bool = True
    restarts: int = 0
    launcher: Kind = Field(default_factory=lambda: PROCESS)
    argv: tuple[str, ...] = ()
    ended: str = ""
    image: str = ""
    returns: str = ""
    locked: str = ""
    notes: tuple[str, ...] = ()

    @property
    def waits(self) -> bool:
        """Whether nothing of it runs until it is started again."""
        return not self.leader and not self.identity.pid

    def runs(self, model: ModelSpec) -> bool:
        """Whether it is what a definition comes to: that command, under that kind of launcher."""
        return self.launcher.kind == model.launcher.kind and self.mark.digest == model.digest


class Health(Value):
    """How far an engine is by its own word, and what is the matter.

    `remedy` is what to do about it, where that is known. `notes` are settings that differ from the
    inventory and do no harm. `context` is how many tokens a request may have, 0 where it does not
    say.
    """

    phase: Phase
    message: str = ""
    remedy: str = ""
    identity: UnitIdentity | None = None
    notes: tuple[str, ...] = ()
    context: int = 0

    @property
    def reason(self) -> Reason:
        """What is the matter, with the remedy."""
        return Reason(self.message, self.remedy)

    @property
    def serves(self) -> bool:
        """Whether nothing speaks against it, as far as it lets itself be seen."""
        # An engine that refuses us is not broken (ADR 0018).
        return self.phase in {"ready", "sleeping", "busy", "other", "locked"}

    @property
    def takes_requests(self) -> bool:
        """Whether requests for its model are its to answer, be it with a refusal."""
        return self.phase in {"ready", "sleeping", "busy", "locked"}

    @property
    def tells(self) -> bool:
        """Whether it may be asked for its slots, and for a real answer.

        A sleeping engine would wake up.
        """
        return self.phase in {"ready", "busy", "other"}

    @property
    def lives(self) -> bool:
        """Whether it answers as itself, or may once it has loaded; what does not is replaced."""
        return self.phase not in {"absent", "unresponsive", "stranger"}

    @property
    def is_closed(self) -> bool:
        """Whether it lives, and cannot be asked what it is doing or holds."""
        return self.phase in {"locked", "unclear"}


class Answer(Value):
    """Which unit gave a real answer of its task, or None when it has not yet."""

    identity: UnitIdentity | None = None
    message: str = ""


class Slot(Value):
    """One conversation slot.

    `tokens` and `task` are None when it has run nothing in this process.
    """

    id: int
    busy: bool
    tokens: int | None = None
    task: int | None = None

    @property
    def holds_conversation(self) -> bool:
        """Whether something worth saving is in the slot."""
        return (self.tokens or 0) > TRIVIAL_TOKENS

    @property
    def uncounted(self) -> bool:
        """Whether the slot was used, and its server does not say how much it holds."""
        # llama.cpp says so since May 2026; what an older one holds may be a conversation.
        return self.task is not None and self.tokens is None


class Activity(Value):
    """What an engine is doing: its slots, and requests that wait for one.

    `calm` says that the look before found the same: nothing runs, and nothing has run in between.
    """

    identity: UnitIdentity | None = None
    slots: tuple[Slot, ...] = ()
    deferred: int = 0
    calm: bool = False

    @property
    def uncounted(self) -> bool:
        """Whether what the slots hold is not to be known."""
        return any(slot.uncounted for slot in self.slots)

    @property
    def in_flight(self) -> int:
        """How many requests run or wait."""
        return sum(slot.busy for slot in self.slots) + self.deferred

    def following(self, before: "Activity") -> "Activity":
        """Add what the look `before` it tells of it."""
        # A queue of clients can leave every slot free for an instant, so one look proves nothing
        # (ADR 0014). A slot that ran a task in between has another task.
        same = (before.identity, before.slots) == (self.identity, self.slots)
        return self.model_copy(update={"calm": same and self.in_flight == before.in_flight == 0})


class RestoreAttempt(Value):
    """An attempt to put a saved slot into a unit, and what came of it; `open` while it goes on."""

    identity: UnitIdentity
    outcome: Literal["open", "proven", "cold", "unverified", "failed"]
    reason: str = ""


class Sidecar(Value):
    """What stands beside a slot file: whose conversation is in it, and what it depends on.

    `slot_tokens` and `task` are what the slot held and ran when saved; the file has `tokens`.
    """

    slot: int
    tokens: int
    fingerprint: str
    saved_at: float
    identity: UnitIdentity
    slot_tokens: int
    task: int | None


class SavedSlot(Sidecar):
    """A slot file on the host, from its sidecar."""

    file: str
    bytes: int
    sha256: str
    attempts: tuple[RestoreAttempt, ...] = ()


class Saved(Value):
    """The newest saved slot for every slot id, and the room in their `folder`.

    `held_bytes` is what all files there take, of which the oldest go first; `budget_bytes` what
    they may, None for anything. `obstacle` is why nothing can be written there whatever the room,
    and `nearest` what of the folder is there.
    """

    slots: tuple[SavedSlot, ...] = ()
    free_bytes: int | None = None
    held_bytes: int = 0
    budget_bytes: int | None = None
    folder: str = ""
    obstacle: Obstacle = ""
    nearest: str = ""
    problems: tuple[str, ...] = ()


class Weights(Value):
    """A model's weights file; `problem` is also of a file that its command line names beside it.

    `keepable` says whether a saved conversation can come back, `unkept` why not where that is not
    because of its architecture, `remedy` what would help.
    """

    path: str
    exists: bool
    size: int = 0
    modified_ns: int = 0
    problem: str = ""
    architecture: str = ""
    context: int = 0
    kv_bytes_per_token: int = 0
    memory_bytes: int = 0
    keepable: bool = True
    unkept: str = ""
    remedy: str = ""
    written_on_start: bool = False


class Binary(Value):
    """A program file that a unit runs.

    `key` is what makes it want an API key, empty where nothing does or that is not known.
    `autostart` is what starts it by itself when its host boots, and what ends that.
    """

    path: str
    problem: Reason = Reason()
    size: int = 0
    modified_ns: int = 0
    key: str = ""
    autostart: Reason = Reason()


class Flags(Value):
    """Why a program would not take the command line that it will be given.

    Empty where it would, or that is not known.
    """

    problem: str = ""


class Fingerprint(Value):
    """The identity of all that a saved conversation depends on, and the folder it is saved in.

    `changed_at` is when a file among it last changed (the host's wall clock), `places` how many
    slots there are to put one into, and `capacity` how many tokens each takes, as far as known.
    `image` is the id of the image that its program is in, empty where that is a file.
    """

    digest: str
    changed_at: float = 0.0
    slots: str = ""
    places: int | None = None
    capacity: int | None = None
    image: str = ""

    def fits(self, unit: Unit) -> bool:
        """Whether a unit runs these very files: none of them changed since it started."""
        if unit.image and self.image not in {"", unit.image}:
            return False
        return unit.started_at is None or self.changed_at <= unit.started_at

    def has_place(self, saved: SavedSlot) -> bool:
        """Whether there is a slot to put a saved one into."""
        return self.places is None or saved.slot < self.places

    def has_room(self, tokens: int) -> bool:
        """Whether so many tokens fit into a slot."""
        return self.capacity is None or tokens <= self.capacity
