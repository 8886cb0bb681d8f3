"""A controller over a world: commands that live or are killed, and what must hold afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from reconciler.fakes.clock import TurnedClock
from reconciler.fakes.journal import MemoryJournal
from reconciler.fakes.life import Life, MortalJournal
from reconciler.fakes.ports import ALL_FAKE, FakeDrivers, ports
from reconciler.fakes.processes import Conversation
from reconciler.fakes.world import World
from reconciler.loop.context import HostContext
from reconciler.loop.hints_cache import HintsCache
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.pass_request import PassRequest
from reconciler.loop.ports_cache import PortsCache
from reconciler.loop.reconcile import reconcile
from reconciler.model.lending import NOTHING_LENT, Rules
from reconciler.model.preparation import Preparation
from reconciler.model.spec import Capabilities, Slice
from reconciler.model.verdict import HostVerdict
from reconciler.ports import Clock, HostPorts, Journal
from tests.sample_worlds import ME, PROVENANCE, model, raised, slice_of

TALK = Conversation("tea", 500)
A, B = model("a"), model("b")
POWER = Capabilities(can_wake=True, can_shut_down=True, can_suspend=True)

PREPARE = Preparation(run=(("nvidia-smi", "-pl", "250"),), check=("canary",))


def want(*active: str, **changed: object) -> Slice:
    return slice_of(active, A, B, capabilities=POWER, **changed)


T = TypeVar("T")


def as_it_is(given: T) -> T:
    return given


@dataclass
class Stage:
    """A world, the journal that outlives every controller, and what is wanted now.

    What a controller gets instead of its ports, its journal and its clock is what a seeded fault
    replaces.
    """

    world: World = field(default_factory=lambda: World(TurnedClock()))
    journal: MemoryJournal | None = None
    wanted: Slice = field(default_factory=lambda: want("a"))
    rules: Rules = NOTHING_LENT
    idles: bool = False
    parts: FakeDrivers = ALL_FAKE
    given_journal: Callable[[Journal], Journal] = as_it_is
    given_clock: Callable[[Clock], Clock] = as_it_is
    interrupt: Interrupt = field(default_factory=Interrupt)
    said: list[str] = field(default_factory=list)

    def copied(self) -> Stage:
        world = self.world.copied()
        return replace(self, world=world, journal=self.kept().copied(world.clock), said=[])

    def command(self, dies_at: int | str | None = None) -> tuple[Life, HostVerdict | None]:
        """Run one `apply`; the verdict is None when it was killed."""
        life = Life(dies_at)
        return life, self.lives(life)

    def lives(self, life: Life) -> HostVerdict | None:
        """Run one `apply` in a life; the verdict is None when that was not its whole."""
        try:
            return self.world.clock.run(self._apply, life)
        except BaseException:
            if not life.dead:
                raise
            return None

    def left(self) -> tuple[int, str, str]:
        """All that a controller would leave that died now."""
        # What a world knows of rows is in the rows.
        known = {"clock", "_opened", "_last_row"}
        seen = {name: one for name, one in vars(self.world).items() if name not in known}
        return self.kept().newest(), repr(vars(self.world.clock)), repr(seen)

    def ends(self, outcome: str) -> HostVerdict:
        _, verdict = self.command()
        assert verdict is not None
        assert verdict.outcome == outcome, verdict
        return verdict

    def is_as_wanted(self) -> bool:
        """Return whether the world is as the file says."""
        wanted, state = self.wanted, self.world.power
        asleep = {"off": {"off"}, "suspend": {"off", "suspended"}}.get(wanted.power or "")
        if asleep is not None:
            return state in asleep
        if state != "on":
            return wanted.power is None
        running = {one.mark.model: one.mark.digest for one in self.world.units() if one.mark}
        expected = {
            one.name: one.digest for one in wanted.models if one.name in (wanted.active or ())
        }
        return running == expected and set(self.world.serving()) == set(expected)

    def kept(self) -> MemoryJournal:
        if self.journal is None:
            self.journal = MemoryJournal(self.world.clock)
        return self.journal

    async def _apply(self, life: Life) -> HostVerdict:
        journal = self.given_journal(MortalJournal(self.kept(), life, self.world.noted))

        def given(slice_: Slice) -> HostPorts:
            return ports(self.world, slice_, life, self.parts)

        context = HostContext(
            PortsCache(given),
            HintsCache(journal),
            self.given_clock(self.world.clock),
            ME,
            self.interrupt,
            self.said.append,
            raised,
        )
        request = PassRequest(self.wanted, PROVENANCE, "apply", rules=self.rules, idles=self.idles)
        return await reconcile(request, context)


def serving_a() -> Stage:
    """Return a stage where a serves, was found good, and holds a conversation."""
    stage = Stage()
    stage.ends("applied")
    stage.world.talk("a", TALK)
    stage.world.clock.now += 60
    return stage
