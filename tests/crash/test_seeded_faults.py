"""Every defect put in on purpose is noticed by the checks that the controller passes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from reconciler.fakes.engine import FakeEngine
from reconciler.fakes.ports import FakeAccess, FakeGpu, FakeLauncher
from reconciler.fakes.processes import FakeProcess, FakeSlot, SlotFile
from reconciler.model.facts import (
    PROCESS,
    Activity,
    Claim,
    Fact,
    Fingerprint,
    Health,
    Known,
    SavedSlot,
    Unit,
)
from reconciler.model.gpu import Card, Gpu
from reconciler.model.held_unit import HeldUnit
from reconciler.model.leasing import Idled
from reconciler.model.onhost.host import WriteClaim
from reconciler.model.place import Inside
from reconciler.model.port import PortState
from reconciler.model.records import Instant, Record, Row, RunClosed, RunOpened, StepIntent
from reconciler.model.spec import ModelSpec
from reconciler.ports import Clock, Evidence, Journal
from tests.clocks import instant
from tests.crash.stage import Stage
from tests.crash.stories import GIB, Reused
from tests.crash.story import STORIES
from tests.crash.test_every_boundary import DEADLY, check, moments


class Asleep(FakeLauncher):
    """See no units."""

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[HeldUnit, ...]]:
        return Known(())


class MarkedInItsEnvironment(FakeLauncher):
    """See containers by what every process of them carries, and no label."""

    def _units(self) -> tuple[Unit, ...]:
        if self.kind != "process":
            return ()
        everywhere = [replace(self, kind=kind) for kind in ("process", "docker")]
        found = [unit for one in everywhere for unit in FakeLauncher._units(one)]
        return tuple(unit.model_copy(update={"launcher": PROCESS}) for unit in found)


class Blind(FakeAccess):
    """See no listeners."""

    async def port(self, port: int, inside: Inside | None = None) -> Fact[PortState]:
        return Known(PortState())


class Trusting(FakeLauncher):
    """Believe that what was told to end, and lives on, has ended."""

    async def stop(self, unit: Unit, grace: float) -> Evidence:
        self.host.world.faults["stop"] = "lies"
        return await super().stop(unit, grace)

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[HeldUnit, ...]]:
        return Known(()) if "stop" in self.host.world.faults else await super().units(former)


class TrustingAccess(FakeAccess):
    """See nobody on a port once a stop was asked for."""

    async def port(self, port: int, inside: Inside | None = None) -> Fact[PortState]:
        return (
            Known(PortState())
            if "stop" in self.host.world.faults
            else await super().port(port, inside)
        )


class ByNumber(Reused):
    """Kill whoever has the pid now."""

    async def stop(self, unit: Unit, grace: float) -> Evidence:
        await super().stop(unit, grace)
        now = (
            one.identity
            for one in self.host.world.processes
            if one.identity.pid == unit.identity.pid
        )
        return await FakeLauncher.stop(
            self, unit.model_copy(update={"identity": next(now, unit.identity)}), grace
        )


class Flattered(FakeEngine):
    """Take every engine that listens for a healthy one."""

    def _health(self, unit: Unit) -> Health:
        return Health(phase="ready", identity=unit.identity)


class Deaf(FakeEngine):
    """Take every engine for an idle one."""

    async def activity(self, unit: Unit) -> Fact[Activity]:
        seen = await super().activity(unit)
        if not isinstance(seen, Known):
            return seen
        return Known(
            Activity(
                identity=unit.identity,
                slots=tuple(slot.model_copy(update={"busy": False}) for slot in seen.value.slots),
            )
        )


class Forgetful(FakeEngine):
    """Note no attempt before it is over."""

    def _note(self, name: str, of: Unit | FakeProcess, outcome: str) -> None:
        if outcome != "open":
            super()._note(name, of, outcome)


class Careless(FakeEngine):
    """Put every file into every engine."""

    async def fingerprint(self) -> Fact[Fingerprint]:
        return Known(Fingerprint(digest=self.model.name))

    async def _restored(self, one: SavedSlot, process: FakeProcess) -> str:
        file = self._file(one.file)
        if file is None:
            return "cold"
        self.host.world.put(file, process, process.places[one.slot])
        return "proven"


class Boastful(FakeEngine):
    """Call a restore proven that never was."""

    async def _restored(self, one: SavedSlot, process: FakeProcess) -> str:
        return "proven"


class Hollow(FakeEngine):
    """Seal files that nothing was written into."""

    def _seal(self, file: SlotFile, slot: int, place: FakeSlot, unit: Unit) -> str:
        name = super()._seal(file, slot, place, unit)
        file.holds = None
        return name


class Roomy(FakeGpu):
    """Find all memory free."""

    def _memory(self) -> Gpu:
        return Gpu(cards=(Card(total=64 * GIB, free=64 * GIB),))


class Selfish(FakeAccess):
    """See no claim of anybody else, and write over it."""

    async def claim(self) -> Fact[Claim | None]:
        return Known(None)

    def _claim(self, action: WriteClaim) -> None:
        self.host.world.claimed(action.claim, take_over=action.take_over)


@dataclass
class Broken:
    """A journal with a defect: `passes` says what becomes of each record on its way."""

    journal: Journal
    passes: Callable[[Record], Record | None]

    async def parts(self, after: int) -> AsyncIterator[Sequence[Row]]:
        yield await self.since(after)

    async def since(self, after: int) -> Sequence[Row]:
        kept = [(row, self.passes(row.record)) for row in await self.journal.since(after)]
        return tuple(
            row.model_copy(update={"record": record}) for row, record in kept if record is not None
        )

    async def newest(self) -> int:
        return await self.journal.newest()

    async def append(self, record: Record) -> Row:
        kept = self.passes(record)
        if kept is None:
            return Row(seq=len(await self.journal.since(0)) + 1, when=instant(0.0), record=record)
        return await self.journal.append(kept)

    async def check_room(self) -> None:
        await self.journal.check_room()

    async def reopen(self) -> None:
        await self.journal.reopen()


@dataclass
class Late:
    """Make every row durable only when the next is written."""

    journal: Journal
    waiting: Record | None = None

    async def parts(self, after: int) -> AsyncIterator[Sequence[Row]]:
        yield await self.since(after)

    async def since(self, after: int) -> Sequence[Row]:
        await self._catch_up()
        return await self.journal.since(after)

    async def check_room(self) -> None:
        await self.journal.check_room()

    async def reopen(self) -> None:
        await self.journal.reopen()

    async def newest(self) -> int:
        return await self.journal.newest()

    async def append(self, record: Record) -> Row:
        await self._catch_up()
        self.waiting = record
        return Row(seq=len(await self.journal.since(0)) + 1, when=instant(0.0), record=record)

    async def _catch_up(self) -> None:
        if self.waiting is not None:
            await self.journal.append(self.waiting)
        self.waiting = None


@dataclass
class Hasty:
    """Think that time passes a hundred times faster than it does."""

    clock: Clock

    def wall(self) -> float:
        return self.clock.wall()

    def boot(self) -> float:
        return self.clock.boot() * 100

    def instant(self) -> Instant:
        return self.clock.instant().model_copy(update={"boot": self.boot()})

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds / 100)


def without_intents(record: Record) -> Record | None:
    return None if isinstance(record, StepIntent) else record


def without_promotions(record: Record) -> Record | None:
    return (
        record.model_copy(update={"verdict": "interrupted"})
        if isinstance(record, RunClosed) and record.verdict == "promoted"
        else record
    )


def without_quarantine(record: Record) -> Record | None:
    return (
        record.model_copy(update={"quarantines": False})
        if isinstance(record, RunClosed)
        else record
    )


class Blaming:
    """Hold what the file says to blame for whatever fails."""

    def __init__(self) -> None:
        self._key: str | None = None

    def __call__(self, record: Record) -> Record | None:
        if isinstance(record, RunOpened) and record.mode == "forward":
            self._key = record.key
        if not isinstance(record, RunClosed) or record.verdict != "failed":
            return record
        return record.model_copy(update={"quarantines": True, "key": self._key})


def without_rest(record: Record) -> Record | None:
    return None if isinstance(record, Idled) else record


def behind(**parts: Any) -> Callable[[Stage], None]:
    return lambda stage: setattr(stage, "parts", replace(stage.parts, **parts))


def journal(given: Callable[[Journal], Journal]) -> Callable[[Stage], None]:
    return lambda stage: setattr(stage, "given_journal", given)


def rows(passes: Callable[[Record], Record | None]) -> Callable[[Stage], None]:
    return journal(lambda kept: Broken(kept, passes))


def clock(given: Callable[[Clock], Clock]) -> Callable[[Stage], None]:
    return lambda stage: setattr(stage, "given_clock", given)


FAULTS: dict[str, tuple[str, Callable[[Stage], None]]] = {
    "an intent is never written": ("switch", rows(without_intents)),
    "a row is durable only when the next is": ("switch", journal(Late)),
    "a row that promotes is lost": ("bad_definition", rows(without_promotions)),
    "a quarantine is lost": ("failed_start", rows(without_quarantine)),
    "a trial is cut short": ("first_start", clock(Hasty)),
    "a unit is not seen": ("switch", behind(launcher=Asleep)),
    "neither a unit nor its port is seen": ("first_start", behind(launcher=Asleep, access=Blind)),
    "a container is marked in its environment": (
        "back_to_a_container",
        behind(launcher=MarkedInItsEnvironment),
    ),
    "a host goes down with a unit that is not seen": ("power_off", behind(launcher=Asleep)),
    "a launcher is believed that something ended": (
        "switch",
        behind(launcher=Trusting, access=TrustingAccess),
    ),
    "a pid is taken for a process": ("reused_pid", behind(launcher=ByNumber)),
    "whatever listens is taken for healthy": ("never_healthy", behind(engine=Flattered)),
    "a busy engine is taken for idle": ("busy_engine", behind(engine=Deaf)),
    "a restore is not noted before it begins": ("deadly_restore", behind(engine=Forgetful)),
    "a slot of another build is restored": ("other_build", behind(engine=Careless)),
    "a damaged file is restored": ("damaged_file", behind(engine=Careless)),
    "a restore is called proven that never was": ("switch_back", behind(engine=Boastful)),
    "an empty file is sealed": ("switch", behind(engine=Hollow)),
    "memory is taken for free": ("tight_memory", behind(gpu=Roomy)),
    "a lease that fails quarantines what the file says": (
        "requests_bring_in_what_fails",
        rows(Blaming()),
    ),
    "that a host rests is forgotten": ("idle_goes_off", rows(without_rest)),
    "a claim is overwritten": ("claimed_by_another", behind(access=Selfish)),
}


def is_noticed(name: str, break_it: Callable[[Stage], None]) -> bool:
    """Whether any single death, none at all, or one that comes back shows a defect in a story."""
    story = STORIES[name]
    stage = story.begin()
    break_it(stage)
    schedules: list[tuple[int | str, ...]] = [(), DEADLY, *((call,) for call in moments(stage))]
    for deaths in schedules:
        try:
            check(story, stage, deaths)
        except AssertionError:
            return True
    return False


@pytest.mark.parametrize("fault", FAULTS)
def test_a_defect_that_is_put_in_is_noticed(fault: str) -> None:
    assert is_noticed(*FAULTS[fault])
