"""Records: what the journal keeps, because it cannot be observed.

A field that is added gets a default, because rows of earlier versions lack it.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, JsonValue

from reconciler.model.facts import UnitIdentity
from reconciler.model.leasing import Idled, Leased, Released, Roused, Term
from reconciler.model.names import Digest, HostName, ModelName, Value
from reconciler.model.spec import Slice
from reconciler.model.target import Provenance
from reconciler.model.verdict import HostVerdict

Mode: TypeAlias = Literal["forward", "rollback", "heal", "release", "lease", "idle"]
PASSING: frozenset[Mode] = frozenset({"lease", "idle", "release"})
"""Runs of these bring about what is there for a while: no state to go back to."""

Verdict: TypeAlias = Literal["promoted", "failed", "interrupted", "superseded"]


class RunOpened(Value):
    """The start of a run: one execution of one host's plan, whose failure quarantines `key`.

    `causes` are the differences that the steps of its `plan` close, each once.
    """

    kind: Literal["run-opened"] = "run-opened"
    host: HostName
    mode: Mode
    slice: Slice
    digest: Digest
    key: Digest
    generation: int
    trigger: str
    provenance: Provenance
    plan: tuple[str, ...]
    causes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    continues: int | None = None


class StepIntent(Value):
    """An effect that is about to happen."""

    kind: Literal["step-intent"] = "step-intent"
    host: HostName
    run: int
    number: int
    step: str
    model: str = ""
    in_doubt: Literal["repeatable", "observable", "once", "irreversible"]


class StepDone(Value):
    """How a step ended, with its evidence and its duration in seconds."""

    kind: Literal["step-done"] = "step-done"
    host: HostName
    run: int
    number: int
    step: str
    model: str = ""
    outcome: Literal["done", "skipped", "gave-up", "failed", "missed", "cancelled"]
    message: str = ""
    seconds: float = 0.0
    evidence: dict[str, JsonValue] = {}
    identity: UnitIdentity | None = None


class ShutdownAccepted(Value):
    """The word of a host, in this boot, that it will go down."""

    kind: Literal["accepted"] = "accepted"
    host: HostName
    run: int
    boot_id: str


class HostReturned(Value):
    """An answer of a host that was asked to go down: what was inferred of its power is void."""

    kind: Literal["answers"] = "answers"
    host: HostName
    boot_id: str


class HostGone(Value):
    """The evidence that a host which had accepted to go down is down."""

    kind: Literal["gone"] = "gone"
    host: HostName
    because: str


class TrialOpened(Value):
    """The start of a trial: whether what a run started stays healthy."""

    kind: Literal["trial-opened"] = "trial-opened"
    host: HostName
    run: int
    units: dict[str, UnitIdentity]


class RunClosed(Value):
    """The verdict that closes a run. `log` holds the engine's last lines when one failed.

    `notes` say which conversations were lost against the plan, and which did not come back.
    `unproven` are the models that a run started or waited for and whose trial did not pass: they
    are stopped first in a rollback, and tried again otherwise.
    """

    kind: Literal["run-closed"] = "run-closed"
    host: HostName
    run: int
    verdict: Verdict
    reason: str = ""
    message: str = ""
    key: Digest | None = None
    quarantines: bool = False
    torn_down: bool = False
    log: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lost_conversations: int = 0
    unproven: tuple[str, ...] = ()


class Adopted(Value):
    """A host that was found as wanted, and healthy, without a run."""

    kind: Literal["adopted"] = "adopted"
    host: HostName
    slice: Slice
    digest: Digest
    generation: int
    provenance: Provenance


class Retry(Value):
    """A request to forget the failures of a host."""

    kind: Literal["retry"] = "retry"
    host: HostName


class Restart(Value):
    """A request that a unit of a model makes way for a fresh one, with its conversations."""

    kind: Literal["restart"] = "restart"
    host: HostName
    model: ModelName
    identity: UnitIdentity


class RollBack(Value):
    """A request for an earlier state of a host, which quarantines the present one by its key."""

    kind: Literal["roll-back"] = "roll-back"
    host: HostName
    slice: Slice
    digest: Digest
    leaves: Digest


class Hold(Value):
    """A request to leave a host alone until a moment (wall clock), or for good.

    `release` saves and stops what runs there first; `now` ends a wait of the run that is under way.
    """

    kind: Literal["hold"] = "hold"
    host: HostName
    reason: str
    until: float | None = None
    release: bool = False
    now: bool = False


class Resume(Value):
    """The end of a host's hold."""

    kind: Literal["resume"] = "resume"
    host: HostName


class Asked(Value):
    """A request to the process that acts: look at a host now, and tell how that ended.

    `wanted` is the digest of the slice that the asker read, `approved` that of a plan's meaning.
    """

    kind: Literal["asked"] = "asked"
    host: HostName
    trigger: str
    wanted: Digest | None = None
    approved: Digest | None = None
    prune: bool = False
    take_over: bool = False


class Answered(Value):
    """The verdict that answers the row `asked`."""

    kind: Literal["answered"] = "answered"
    host: HostName
    asked: int
    verdict: HostVerdict


class Instant(Value):
    """A moment by two clocks: `at` in seconds since the epoch, `boot` in seconds since that boot.

    Suspended time counts.
    """

    # A wall clock can be set; that of a boot tells how much time really passed, within that boot.

    at: float
    boot_id: str
    boot: float


class Quarantine(Value):
    """A slice that failed: its key, why, how often, and since when."""

    key: Digest
    reason: str
    message: str
    run: int
    since: Instant
    attempts: int = 1
    log: tuple[str, ...] = ()


class OpenRun(Value):
    """A run that never closed: the row that opened it, and the effect that may be in flight."""

    seq: int
    at: float
    opened: RunOpened
    in_flight: StepIntent | None = None


class DueRestart(Value):
    """A restart that is asked for: of which unit, and by which row."""

    identity: UnitIdentity
    asked: int


class Lease(Value):
    """A model that is lent, to a person for a `term` or to requests, and since when."""

    wanted: Digest
    since: Instant
    term: Term | None = None


class Held(Value):
    """A hold, and since when."""

    hold: Hold
    since: Instant


class SentDown(Value):
    """A host that was asked to go down: by which run, and when.

    `boot_id` is the boot that accepted, empty while none did. `seen` says by what evidence the host
    is down, empty while it is not.
    """

    # A second request could meet the next boot of the host, so this outlives its run (ADR 0009).

    state: Literal["off", "suspended"]
    run: int
    asked: Instant
    boot_id: str = ""
    seen: str = ""

    @property
    def is_heard(self) -> bool:
        """Whether it said that it would."""
        return bool(self.boot_id)


class Claimed(Value):
    """A claim that is about to be written, in the boot of this row, under this id."""

    # The row comes first: a claim of a boot that no journal knows is that of a clone (ADR 0016).

    kind: Literal["claimed"] = "claimed"
    host: HostName
    controller: str
    name: str
    directory: str


class Carried(Value):
    """What is known of a host, restated because rows that said so are no longer kept."""

    kind: Literal["carried"] = "carried"
    host: HostName
    last_good: Slice | None
    last_good_digest: Digest | None
    wanted_digest: Digest | None
    generation: int
    judged_generation: int
    judged_at: float | None
    quarantine: Quarantine | None
    open_run: OpenRun | None
    unproven: tuple[str, ...]
    held: Held | None = None
    sent_down: SentDown | None = None
    notes: tuple[str, ...] = ()
    lost_conversations: int = 0
    boots: tuple[str, ...] = ()
    wanted: Slice | None = None
    leases: dict[ModelName, Lease] = {}
    let_go: dict[ModelName, str] = {}
    unlendable: dict[ModelName, Quarantine] = {}
    idled: Idled | None = None
    restless: Quarantine | None = None
    restarts: dict[ModelName, DueRestart] = {}


Record: TypeAlias = Annotated[
    RunOpened
    | StepIntent
    | StepDone
    | ShutdownAccepted
    | HostReturned
    | HostGone
    | TrialOpened
    | RunClosed
    | Adopted
    | Claimed
    | Retry
    | Restart
    | RollBack
    | Hold
    | Resume
    | Leased
    | Released
    | Idled
    | Roused
    | Asked
    | Answered
    | Carried,
    Field(discriminator="kind"),
]

# Each sync costs 0.1 to 20 ms, and a switch writes about twenty rows (ADR 0005).
SEEN_AGAIN = (StepDone, TrialOpened, Leased, Released)
"""What is observed again when a power cut takes it, or matters no more, as leases whose clients are
gone too: these rows are durable with the next one that is none of them, which for a person's lease
follows at once."""


class Row(Value):
    """One journal row: a record, its sequence number, and when it was written.

    A run is named by the sequence number of the row that opened it.
    """

    seq: int
    when: Instant
    record: Record

    @property
    def at(self) -> float:
        """Wall clock seconds since the epoch."""
        return self.when.at
