"""Records: what the journal keeps, because it cannot be observed."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, JsonValue

from reconciler.model.facts import UnitIdentity
from reconciler.model.names import Digest, HostName, Value
from reconciler.model.spec import Slice
from reconciler.model.target import Provenance
from reconciler.model.verdict import HostVerdict

Mode: TypeAlias = Literal["forward", "rollback", "heal", "release"]
Verdict: TypeAlias = Literal["promoted", "failed", "interrupted", "superseded"]


class RunOpened(Value):
    """Open one execution of one host's plan, with its `notes`.

    `key` is what a failure of it would quarantine.
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
    notes: tuple[str, ...] = ()
    continues: int | None = None


class StepIntent(Value):
    """Announce an effect before it happens."""

    kind: Literal["step-intent"] = "step-intent"
    host: HostName
    run: int
    number: int
    step: str
    model: str = ""
    in_doubt: Literal["repeatable", "observable", "once", "irreversible"]


class StepDone(Value):
    """Record how a step ended, with its evidence and duration in seconds."""

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
    """Record that a host said it would go down, and in which boot."""

    kind: Literal["accepted"] = "accepted"
    host: HostName
    run: int
    boot_id: str


class HostReturned(Value):
    """Record that a host which was sent down answers: it is up, and what was inferred of its power is void."""

    kind: Literal["answers"] = "answers"
    host: HostName
    boot_id: str


class HostGone(Value):
    """Record that a host which had accepted to go down was seen to be down, and by what evidence."""

    kind: Literal["gone"] = "gone"
    host: HostName
    because: str


class TrialOpened(Value):
    """Start watching whether what was started stays healthy."""

    kind: Literal["trial-opened"] = "trial-opened"
    host: HostName
    run: int
    units: dict[str, UnitIdentity]


class RunClosed(Value):
    """Close a run with its verdict. `log` holds the engine's last lines when one failed.

    `notes` say which conversations were lost against the plan, and which did not come back.
    `unproven` are the models that a run started or waited for and whose trial did not pass: they go
    first when it is gone back on, and else are tried again.
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
    """Record that a host was found to be as wanted, and healthy, without a run."""

    kind: Literal["adopted"] = "adopted"
    host: HostName
    slice: Slice
    digest: Digest
    generation: int
    provenance: Provenance


class Retry(Value):
    """Forget the failures of a host."""

    kind: Literal["retry"] = "retry"
    host: HostName


class RollBack(Value):
    """Ask for an earlier state of a host, and quarantine the one that is left (its key)."""

    kind: Literal["roll-back"] = "roll-back"
    host: HostName
    slice: Slice
    digest: Digest
    leaves: Digest


class Hold(Value):
    """Keep hands off a host until a moment (wall clock) or for good.

    `release` saves and stops what runs there first.

    `now` ends a wait of the run that is under way.
    """

    kind: Literal["hold"] = "hold"
    host: HostName
    reason: str
    until: float | None = None
    release: bool = False
    now: bool = False


class Resume(Value):
    """End the hold of a host."""

    kind: Literal["resume"] = "resume"
    host: HostName


class Asked(Value):
    """Ask whoever acts to look at a host now, and to say how that ended.

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
    """Answer the row that asked."""

    kind: Literal["answered"] = "answered"
    host: HostName
    asked: int
    verdict: HostVerdict


class Instant(Value):
    """When: wall clock seconds since the epoch (`at`), and seconds since boot, suspended time included, of which boot."""

    at: float
    boot_id: str
    boot: float


class Quarantine(Value):
    """Remember a slice that failed: its key, why, how often, and since when."""

    key: Digest
    reason: str
    message: str
    run: int
    since: Instant
    attempts: int = 1
    log: tuple[str, ...] = ()


class OpenRun(Value):
    """Remember a run that never closed: the row that opened it, and the effect that may have been in flight."""

    seq: int
    at: float
    opened: RunOpened
    in_flight: StepIntent | None = None


class Held(Value):
    """Remember a hold, and since when."""

    hold: Hold
    since: Instant


class SentDown(Value):
    """Remember that a host was asked to go down: by which run and when, and which boot of it accepted, empty while none did.

    `seen` says how it was seen to be down, empty while it was not.
    """

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
    """Announce that the host will be claimed, in the boot of this row, under this id."""

    kind: Literal["claimed"] = "claimed"
    host: HostName
    controller: str
    name: str
    directory: str


class Carried(Value):
    """Restate what is known of a host, because rows that said so are no longer kept."""

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
    | RollBack
    | Hold
    | Resume
    | Asked
    | Answered
    | Carried,
    Field(discriminator="kind"),
]

SEEN_AGAIN = (StepDone, TrialOpened)
"""What is observed again when a power cut takes it: these rows are durable with the next one that
is none of them."""


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
