"""One host that is not there: its power, memory, processes, conversations and slot files, and what must never happen to them.

Time passes by the world's clock alone. Whatever a controller does to it that it must not is kept as
a violation.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, TypeAlias

from reconciler.fakes.clock import TurnedClock
from reconciler.fakes.processes import (
    NEVER,
    Chatter,
    Conversation,
    FakeProcess,
    FakeSlot,
    Loss,
    Nature,
    SlotFile,
)
from reconciler.model.facts import TRIVIAL_TOKENS, Binary, Claim, Mark, UnitIdentity, Weights
from reconciler.model.power import Guards, PowerState
from reconciler.model.records import Adopted, Row, RunClosed, RunOpened, StepIntent
from reconciler.model.spec import ModelSpec, Slice

Fault: TypeAlias = Literal["refuses", "lies", "late", "hangs"]
"""What an actor does instead of its work: fail, report success, fail after succeeding, or never
answer."""

Descent: TypeAlias = Literal["goes", "stays", "hangs"]
"""What a host does that has accepted to go down: go, stay as it is, or fall silent with its power
on."""

DOWN_SECONDS = 20.0
MOST_DEATHS = 3


class World:
    """One host and everything on it.

    Natures go by the digest of the command, most else by the model's name.
    """

    def __init__(self, clock: TurnedClock) -> None:
        self.clock = clock
        self.power: PowerState = "on"
        self.boots = 1
        self.watched = True
        self.sees_sleep = True
        self.boots_in = 12.0
        self.hung = False
        self.prepared = ""
        self.is_to_be_prepared = False
        self.job_begins = False
        self.descent: Descent = "goes"
        self.guards = Guards()
        self.packets: list[float] = []
        self.natures: dict[str, Nature] = {}
        self.processes: list[FakeProcess] = []
        self.files: list[SlotFile] = []
        self.shelf_bytes: int | None = None
        self.claim: Claim | None = None
        self.weights: dict[str, Weights] = {}
        self.binaries: dict[str, Binary] = {}
        self.refusals: dict[str, str] = {}
        self.fingerprints: dict[str, str] = {}
        self.memory_bytes: int | None = None
        self.faults: dict[str, Fault] = {}
        self.unseen: dict[str, str] = {}
        self.violations: list[str] = []
        self.lost: list[Loss] = []
        self.logs: dict[
            str, tuple[tuple[str, ...], ...]
        ] = {}  # The lines of each start, oldest start first.
        self.launchers = frozenset(
            {"process"}
        )  # Those that are there: of processes, and each that ever started anything.
        self._lingering: list[tuple[float, int]] = []
        self._power_at: tuple[float, PowerState] | None = None
        self._pid = 100
        self._opened: dict[int, Slice] = {}
        self._last_row: dict[str, Row] = {}

    def copied(self) -> World:
        """Return a world of its own that is the same in everything, on a clock of its own."""
        twin = copy.copy(self)
        twin.clock = TurnedClock(self.clock.now)
        twin.clock.ahead = self.clock.ahead
        twin.processes = [
            replace(one, places=[replace(place) for place in one.places]) for one in self.processes
        ]
        twin.files = [replace(file) for file in self.files]
        for name in (
            "natures",
            "weights",
            "binaries",
            "refusals",
            "fingerprints",
            "faults",
            "unseen",
            "logs",
            "_opened",
            "_last_row",
        ):
            setattr(twin, name, dict(getattr(self, name)))
        for name in ("violations", "lost", "packets", "_lingering"):
            setattr(twin, name, list(getattr(self, name)))
        return twin

    @property
    def now(self) -> float:
        """The time, with everything that was to happen by now done."""
        now = self.clock.now
        if self._power_at is not None and self._power_at[0] <= now:
            self._turn(self._power_at[1])
        for process in self.processes:
            if process.ends_at <= now and process.nature.frees_in:
                self._lingering.append(
                    (process.ends_at + process.nature.frees_in, process.nature.memory_bytes)
                )
        self.processes = [process for process in self.processes if process.ends_at > now]
        for process in self.processes:
            for place in process.places:
                place.goes_on(now)
        return now

    @property
    def answers(self) -> bool:
        """Whether the host answers."""
        _ = self.now
        return self.power == "on" and not self.hung

    @property
    def witnessed(self) -> PowerState | None:
        """What its witness says of its power, None where nobody watches it.

        Not every witness can tell sleep.
        """
        _ = self.now
        if not self.watched:
            return None
        return "on" if self.power == "suspended" and not self.sees_sleep else self.power

    @property
    def boot_id(self) -> str:
        """The name of this boot."""
        return f"boot-{self.boots}"

    def units(self, model_name: str | None = None) -> list[FakeProcess]:
        """Return the processes that carry a mark, of one model or of all."""
        _ = self.now
        return [one for one in self.processes if one.mark and model_name in {None, one.mark.model}]

    def serving(self) -> dict[str, int]:
        """Return the pids of the models that serve."""
        now = self.now
        return {
            one.mark.model: one.identity.pid
            for one in self.units()
            if one.mark and one.is_ready(now)
        }

    def on_port(self, port: int) -> FakeProcess | None:
        """Return who listens on a port."""
        _ = self.now
        return next((one for one in self.processes if one.port == port), None)

    def free_bytes(self) -> int:
        """Return how much accelerator memory nobody holds."""
        now = self.now
        held = sum(one.nature.memory_bytes for one in self.processes)
        return (
            (self.memory_bytes or 0)
            - held
            - sum(size for until, size in self._lingering if until > now)
        )

    def fingerprint(self, model: ModelSpec) -> str:
        """Return what a saved slot of a model depends on now: by its definition, or else by its name."""
        return self.fingerprints.get(model.digest) or self.fingerprints.get(model.name, model.name)

    # What happens to it by itself, or by its clients.

    def talk(
        self,
        model_name: str,
        conversation: Conversation,
        seconds: float = 0.0,
        chatter: Chatter | None = None,
    ) -> int:
        """Let a client send a conversation to a model that serves, and perhaps go on.

        Return how many tokens were remembered.
        """
        now = self.now
        process = next(one for one in self.units(model_name) if one.is_ready(now))
        process.spoke = True
        places = process.places
        place = next(
            (one for one in places if one.held and one.held.name == conversation.name), None
        )
        place = place or min(
            places,
            key=lambda one: one.held.tokens if one.held and one.held.tokens > TRIVIAL_TOKENS else 0,
        )
        known = place.held if place.held and place.held.name == conversation.name else None
        place.held, place.task, place.busy_until = (
            conversation,
            (place.task or 0) + 1,
            now + seconds,
        )
        place.chatter = chatter
        return min(known.tokens, conversation.tokens) if known else 0

    def stranger(
        self, port: int | None = None, pid: int | None = None, memory_bytes: int = 0
    ) -> FakeProcess:
        """Let somebody else's process run, on a port, under a pid that was another's before, or as a job on the card."""
        process = FakeProcess(
            self._identity(pid), None, port, Nature(memory_bytes=memory_bytes), self.now, NEVER
        )
        self.processes.append(process)
        return process

    def crash(self, model_name: str) -> None:
        """Let a model's engine die."""
        for process in self.units(model_name):
            process.ends_at = self.clock.now

    def reboot(self) -> None:
        """Let the host boot again: files stay."""
        self._turn("off")
        self._turn("on")

    def cut_power(self) -> None:
        """Let the host lose its power."""
        self._turn("off")

    def flip(self, model_name: str) -> None:
        """Let the content of a model's slot files change under their sidecars."""
        for file in self.files:
            if file.model == model_name:
                file.holds = None

    # What is done to it.

    def start(self, model: ModelSpec, mark: Mark) -> FakeProcess:
        """Let a launcher start a unit."""
        nature = self.natures.get(model.digest, Nature())
        ends_at = self.now + nature.dies_after
        if self.on_port(model.port) is not None:
            self.wrong(f"{model.name} was started on port {model.port}, which is taken")
            ends_at = self.now
        if self.is_to_be_prepared and not self.prepared:
            self.wrong(f"{model.name} was started on a host that was not prepared")
        if self.memory_bytes is not None and nature.memory_bytes > self.free_bytes():
            self.wrong(f"{model.name} was started without enough memory")
            ends_at = self.now
        places = [FakeSlot() for _ in range(nature.slots)]
        process = FakeProcess(
            self._identity(), mark, model.port, nature, self.now, ends_at, places,
            self.fingerprint(model), launcher=model.launcher.kind,
        )  # fmt: skip
        self.launchers |= {process.launcher}
        self.logs[model.name] = (
            *self.logs.get(model.name, ()),
            (*nature.log, f"{model.name} started"),
        )
        self.processes.append(process)
        return process

    def term(self, process: FakeProcess, seconds: float) -> None:
        """Let a process end within so many seconds."""
        if process.mark is None:
            self.wrong(f"pid {process.identity.pid}, which is a stranger's, was killed")
        if any(place.busy_until > self.now for place in process.places):
            self.logs["cut"] = ((f"{self.now}",),)
        process.ends_at = min(process.ends_at, self.now + seconds)
        self.lost += self._losses(process)

    def _losses(self, process: FakeProcess) -> Iterable[Loss]:
        """Return what nobody has but a process that is told to end.

        A file that was damaged since was good when it was sealed.
        """
        now, mark = self.now, process.mark
        sealed = [file for file in self.files if file.sidecar and mark and file.model == mark.model]
        for place in process.places:
            held = place.held
            kept = any(
                file.holds == held
                or (
                    file.holds is None
                    and held
                    and file.sidecar
                    and file.sidecar.tokens == held.tokens
                )
                for file in sealed
            )
            if mark and held and held.tokens > TRIVIAL_TOKENS and not kept:
                yield Loss(
                    process.identity, mark, held, process.is_ready(now), place.busy_until > now
                )

    def put(self, file: SlotFile, process: FakeProcess, place: FakeSlot) -> None:
        """Let an engine take a slot file into a slot."""
        if (
            place.held is not None
            and place.held.tokens > TRIVIAL_TOKENS
            and place.held != file.holds
        ):
            self.wrong(
                f"{file.model}: a restore went over {place.held.name}, which a client had in the"
                " slot"
            )
        if place.held == file.holds and file.holds is not None:
            self.wrong(f"{file.model}: {place.held} was restored twice into one process")
        if file.fingerprint != process.fingerprint:
            self.wrong(
                f"{file.model}: a slot of {file.fingerprint} was restored into"
                f" {process.fingerprint}"
            )
        if file.holds is None:
            self.wrong(f"{file.model}: a damaged file was restored")
        if process.nature.restores == "deadly":
            file.deadly += 1
            process.ends_at = self.now
        if file.deadly > MOST_DEATHS:
            self.wrong(f"{file.model}: a file that killed {MOST_DEATHS} engines was restored again")
        place.held = file.holds if process.nature.restores == "well" else None
        place.task = (place.task or 0) + 1

    def woken(self) -> None:
        """Let a magic packet arrive: it boots a host that is down, which takes its time."""
        self.packets.append(self.now)
        if self.now >= 0 and self.power != "on" and self._power_at is None:
            self._power_at = (self.now + self.boots_in, "on")

    def turn(self, state: PowerState) -> None:
        """Let a host be asked to go down, which takes its time."""
        if running := self.units():
            self.wrong(f"the host was sent to be {state} with {running[0].mark} on it")
        if self.guards.reasons:
            self.wrong(f"the host was sent to be {state} although {self.guards.reasons[0]}")
        self.hung = self.hung or self.descent == "hangs"
        if self.descent == "goes":
            self._power_at = (self.now + DOWN_SECONDS, state)

    def cut(self) -> None:
        """Let somebody who may take the power of the host, because it hangs on its way down."""
        if running := self.units():
            self.wrong(f"the power of the host was cut with {running[0].mark} on it")
        if not self.answers and self.witnessed != "on":
            self.wrong("the power of the host was cut although nothing showed that it was on")
        self.cut_power()

    def prepare(self, digest: str, *, checks: bool) -> None:
        """Let what prepares the host be run, and its accelerators be checked."""
        at_work = [one for one in self.processes if one.mark or one.nature.memory_bytes]
        if checks and at_work:
            self.wrong(
                "the accelerators were checked beside"
                f" {at_work[0].mark or 'a job of somebody else'}"
            )
        self.prepared = digest

    def claimed(self, claim: Claim, *, take_over: bool) -> None:
        """Let a controller claim the host."""
        if self.claim is not None and self.claim.controller != claim.controller and not take_over:
            self.wrong(f"the claim of {self.claim.name} was overwritten")
        self.claim = claim

    # What must not happen.

    def wrong(self, sentence: str) -> None:
        """Keep a violation."""
        self.violations.append(sentence)

    def intended(self, *kinds: str) -> None:
        """Keep a violation unless the newest durable row announces a step of one of these kinds."""
        record = self._last_row["row"].record if self._last_row else None
        if not isinstance(record, StepIntent) or record.step not in kinds:
            self.wrong(f"{kinds[0]} happened without its intent in the journal")

    def noted(self, row: Row) -> None:
        """Look at a row that became durable: nothing may be called good that was not healthy for long enough."""
        self._last_row["row"] = row
        match row.record:
            case RunOpened():
                self._opened[row.seq] = row.record.slice
            case Adopted():
                self._proven(row.record.slice)
            case RunClosed(verdict="promoted"):
                self._proven(self._opened[row.record.run])
            case _:
                pass

    def _proven(self, slice_: Slice) -> None:
        now = self.now
        models = (
            one
            for one in slice_.models
            if one.name in (slice_.active or ()) and slice_.power in {None, "on"}
        )
        for model in models:
            good = [
                one
                for one in self.units(model.name)
                if one.is_ready(now) and now - one.ready_at >= model.stable_for - 1e-6
            ]
            if not good:
                self.wrong(
                    f"{model.name} was called good before it had been healthy for"
                    f" {model.stable_for} s"
                )

    def _turn(self, state: PowerState) -> None:
        self._power_at = None
        if state == "on" and self.power == "off":
            self.boots += 1
        if state == "off":
            self.processes, self._lingering, self._pid = [], [], 100
        self.power, self.hung, self.prepared = state, False, ""
        if state == "on" and self.job_begins:
            self.stranger(memory_bytes=1)

    def _identity(self, pid: int | None = None) -> UnitIdentity:
        self._pid += 1
        return UnitIdentity(
            pid=pid or self._pid, start=int(self.now * 1000), inode=self._pid, boot_id=self.boot_id
        )
