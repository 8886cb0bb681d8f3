"""World: one host that is not there, with its power, memory, processes and slot files.

Time passes by the world's clock alone. Whatever a controller does to it that it must not is kept as
a violation.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, TypeAlias

from reconciler.fakes.clock import TurnedClock
from reconciler.fakes.conduct import losses, wrongs_of_praise, wrongs_of_restore
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
from reconciler.model.facts import Binary, Claim, Mark, UnitIdentity, Weights
from reconciler.model.power import Guards, PowerState
from reconciler.model.records import Adopted, Row, RunClosed, RunOpened, StepIntent
from reconciler.model.spec import ModelSpec, Slice

Fault: TypeAlias = Literal["refuses", "lies", "late", "hangs"]
"""What an actor does instead of its work: fail, report success, fail after succeeding, or never
answer."""

Descent: TypeAlias = Literal["goes", "stays", "hangs"]
"""What a host does that has agreed to go down: go, stay as it is, or fall silent with its power
on."""

DOWN_SECONDS = 20.0
MOST_DEATHS = 3

MAPPINGS = (
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
)
LISTS = ("violations", "lost", "packets", "_lingering")
"""What a copy of a world needs its own of."""


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
        # The lines of each start, oldest start first.
        self.logs: dict[str, tuple[tuple[str, ...], ...]] = {}
        # Those that are there: of processes, and each that ever started anything.
        self.launchers = frozenset({"process"})
        self._lingering: list[tuple[float, int]] = []
        self._power_at: tuple[float, PowerState] | None = None
        self._pid = 100
        self._opened: dict[int, Slice] = {}
        self._last_row: dict[str, Row] = {}

    def copied(self) -> World:
        """Make a world that is the same in everything, on its own clock."""
        twin = copy.copy(self)
        twin.clock = TurnedClock(self.clock.now)
        twin.clock.ahead = self.clock.ahead
        twin.processes = [one.copied() for one in self.processes]
        twin.files = [replace(file) for file in self.files]
        for name in MAPPINGS:
            setattr(twin, name, dict(getattr(self, name)))
        for name in LISTS:
            setattr(twin, name, list(getattr(self, name)))
        return twin

    @property
    def now(self) -> float:
        """The time, with everything that was to happen by now done."""
        now = self.clock.now
        if self._power_at is not None and self._power_at[0] <= now:
            self._turn(self._power_at[1])
        for process in self.processes:
            if process.has_ended(now):
                self._linger(process)
        self.processes = [process for process in self.processes if not process.has_ended(now)]
        for process in self.processes:
            process.goes_on(now)
        return now

    def _linger(self, process: FakeProcess) -> None:
        nature = process.nature
        if nature.frees_in:
            self._lingering.append((process.ends_at + nature.frees_in, nature.memory_bytes))

    @property
    def answers(self) -> bool:
        """Whether the host answers."""
        _ = self.now
        return self.power == "on" and not self.hung

    @property
    def witnessed(self) -> PowerState | None:
        """What its witness says of its power, None where it has none."""
        _ = self.now
        if not self.watched:
            return None
        # A plug, for one, cannot tell sleep from work.
        return "on" if self.power == "suspended" and not self.sees_sleep else self.power

    @property
    def boot_id(self) -> str:
        """The name of this boot."""
        return f"boot-{self.boots}"

    def units(self, model_name: str | None = None) -> list[FakeProcess]:
        """List the processes that carry a mark, of one model or of all."""
        _ = self.now
        return [one for one in self.processes if one.mark and model_name in {None, one.mark.model}]

    def serving(self) -> dict[str, int]:
        """Find the pids of the models that serve."""
        now = self.now
        ready = [one for one in self.units() if one.is_ready(now)]
        return {one.mark.model: one.identity.pid for one in ready if one.mark}

    def on_port(self, port: int) -> FakeProcess | None:
        """Find the process that listens on a port."""
        _ = self.now
        return next((one for one in self.processes if one.port == port), None)

    def free_bytes(self) -> int:
        """Count the accelerator memory that is free."""
        return (self.memory_bytes or 0) - self._held_bytes() - self._lingering_bytes()

    def _held_bytes(self) -> int:
        _ = self.now
        return sum(one.nature.memory_bytes for one in self.processes)

    def _lingering_bytes(self) -> int:
        now = self.now
        return sum(size for until, size in self._lingering if until > now)

    def fingerprint(self, model: ModelSpec) -> str:
        """Look up what a saved slot of a model depends on now, by digest or else by name."""
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
        place = process.place_for(conversation)
        known = place.tokens_of(conversation)
        place.take(conversation)
        place.busy_until, place.chatter = now + seconds, chatter
        return known

    def stranger(
        self, port: int | None = None, pid: int | None = None, memory_bytes: int = 0
    ) -> FakeProcess:
        """Let a foreign process run: on a port, under a pid that another had, or on the card."""
        nature = Nature(memory_bytes=memory_bytes)
        process = FakeProcess(self._identity(pid), None, port, nature, self.now, NEVER)
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
        lasts = nature.dies_after if self._takes(model, nature) else 0
        process = FakeProcess(
            identity=self._identity(),
            mark=mark,
            port=model.port,
            nature=nature,
            started=self.now,
            ends_at=self.now + lasts,
            places=[FakeSlot() for _ in range(nature.slots)],
            fingerprint=self.fingerprint(model),
            launcher=model.launcher.kind,
        )
        self.launchers |= {process.launcher}
        lines = (*nature.log, f"{model.name} started")
        self.logs[model.name] = (*self.logs.get(model.name, ()), lines)
        self.processes.append(process)
        return process

    def _takes(self, model: ModelSpec, nature: Nature) -> bool:
        """Keep what is wrong with starting a unit, and tell whether it can run all the same."""
        is_taken = self.on_port(model.port) is not None
        is_full = self.memory_bytes is not None and nature.memory_bytes > self.free_bytes()
        if is_taken:
            self.wrong(f"{model.name} was started on port {model.port}, which is taken")
        if self.is_to_be_prepared and not self.prepared:
            self.wrong(f"{model.name} was started on a host that was not prepared")
        if is_full:
            self.wrong(f"{model.name} was started without enough memory")
        return not is_taken and not is_full

    def term(self, process: FakeProcess, seconds: float) -> None:
        """Let a process end within so many seconds."""
        if process.mark is None:
            self.wrong(f"pid {process.identity.pid}, which is a stranger's, was killed")
        now = self.now
        if any(place.is_busy(now) for place in process.places):
            self.logs["cut"] = ((f"{now}",),)
        process.ends_at = min(process.ends_at, now + seconds)
        self.lost += losses(process, self.files, self.now)

    def put(self, file: SlotFile, process: FakeProcess, place: FakeSlot) -> None:
        """Let an engine take a slot file into a slot."""
        self._keep_wrongs(wrongs_of_restore(file, process, place))
        if process.nature.restores == "deadly":
            self._kill_by(file, process)
        place.take(file.holds if process.nature.restores == "well" else None)

    def _kill_by(self, file: SlotFile, process: FakeProcess) -> None:
        file.deadly += 1
        process.ends_at = self.now
        if file.deadly > MOST_DEATHS:
            self.wrong(f"{file.model}: a file that killed {MOST_DEATHS} engines was restored again")

    def woken(self) -> None:
        """Let a magic packet arrive: it boots a host that is down, which takes its time."""
        self.packets.append(self.now)
        if self.now >= 0 and self.power != "on" and self._power_at is None:
            self._power_at = (self.now + self.boots_in, "on")

    def turn(self, state: PowerState) -> None:
        """Let a host be asked to go down, which takes its time."""
        self._must_be_empty(f"the host was sent to be {state}")
        if self.guards.reasons:
            self.wrong(f"the host was sent to be {state} although {self.guards.reasons[0]}")
        self.hung = self.hung or self.descent == "hangs"
        if self.descent == "goes":
            self._power_at = (self.now + DOWN_SECONDS, state)

    def cut(self) -> None:
        """Let the power be taken from a host that hangs on its way down."""
        self._must_be_empty("the power of the host was cut")
        if not self.answers and self.witnessed != "on":
            self.wrong("the power of the host was cut although nothing showed that it was on")
        self.cut_power()

    def _must_be_empty(self, doing: str) -> None:
        if running := self.units():
            self.wrong(f"{doing} with {running[0].mark} on it")

    def prepare(self, digest: str, *, checks: bool) -> None:
        """Let what prepares the host be run, and its accelerators be checked."""
        at_work = [one for one in self.processes if one.mark or one.nature.memory_bytes]
        if checks and at_work:
            self._check_beside(at_work[0])
        self.prepared = digest

    def _check_beside(self, process: FakeProcess) -> None:
        beside = process.mark or "another user's job"
        self.wrong(f"the accelerators were checked beside {beside}")

    def claimed(self, claim: Claim, *, take_over: bool) -> None:
        """Let a controller claim the host."""
        before = self.claim
        if before is not None and before.controller != claim.controller and not take_over:
            self.wrong(f"the claim of {before.name} was overwritten")
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
        """Look at a row that became durable: nothing may be called good too early."""
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
        self._keep_wrongs(wrongs_of_praise(slice_, self.units(), self.now))

    def _keep_wrongs(self, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            self.wrong(sentence)

    def _turn(self, state: PowerState) -> None:
        self._power_at = None
        if state == "on" and self.power == "off":
            self.boots += 1
        if state == "off":
            self._forget_processes()
        self.power, self.hung, self.prepared = state, False, ""
        if state == "on" and self.job_begins:
            self.stranger(memory_bytes=1)

    def _forget_processes(self) -> None:
        self.processes, self._lingering, self._pid = [], [], 100

    def _identity(self, pid: int | None = None) -> UnitIdentity:
        self._pid += 1
        pid, start = pid or self._pid, int(self.now * 1000)
        return UnitIdentity(pid=pid, start=start, inode=self._pid, boot_id=self.boot_id)
