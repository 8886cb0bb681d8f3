"""The runs of a simulated day: what a host is brought to takes time, may fail, or be ended."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Literal, TypeAlias

from reconciler.core import lending, turns
from reconciler.core.policy import Aim
from reconciler.core.recovery import Hints, after
from reconciler.core.seating import Seated
from reconciler.model.leasing import Released, Roused
from reconciler.model.lending import Rules
from reconciler.model.power import PowerState
from reconciler.model.records import (
    Adopted,
    Instant,
    Mode,
    Record,
    Row,
    RunClosed,
    RunOpened,
    StepDone,
    Verdict,
)
from reconciler.model.spec import Slice, WantedPower
from tests.clocks import instant
from tests.day_clients import Crowd, Moments
from tests.sample_worlds import HOST, PROVENANCE

End: TypeAlias = Literal["in_sync", "completed", "interrupted", "failed", "unpowered", "refused"]
Wait: TypeAlias = Generator[float, None, None]
Ran: TypeAlias = Generator[float, None, End]

DOWN: dict[WantedPower, PowerState] = {"off": "off", "suspend": "suspended"}
VERDICTS: dict[End, Verdict] = {"completed": "promoted", "interrupted": "superseded"}
REASONS: dict[End, str] = {"failed": "AwaitHealthyFailed", "unpowered": "WakeFailed"}
DRAIN_SECONDS = 60.0
TRIAL_SECONDS = 1.0


@dataclass(frozen=True)
class Wish:
    """What the files say of the host."""

    slice: Slice
    rules: Rules


@dataclass(frozen=True)
class Speeds:
    """The longest times in seconds."""

    load: float = 2.0
    stop: float = 0.5
    wake: float = 20.0
    sleep: float = 5.0

    @property
    def switch(self) -> float:
        return self.load + self.stop + TRIAL_SECONDS


@dataclass
class Faults:
    """What does not work at the moment."""

    loads: set[str] = field(default_factory=set)
    wake: bool = False
    rest: bool = False


class DayRuns:
    """What happens to one host in its runs. Who is told of something may look into it."""

    def __init__(
        self, wish: Wish, speeds: Speeds, crowd: Crowd, moments: Moments, random: Random
    ) -> None:
        self.wish, self.speeds, self.crowd, self.moments = wish, speeds, crowd, moments
        self.random, self.faults = random, Faults()
        self.hints, self.rows = Hints(), list[Row]()
        self.power: PowerState = "on"
        self.boot = 1
        self.units: dict[str, float] = {}
        """What runs, and from when on it works."""

        self.runs = list[Mode]()
        self.interrupted, self.goes_down, self.rests = "", False, False
        self.began, self.unawaited = moments.now, dict[str, float]()
        """When the last pass began, and since when nobody waits for what it brings in."""

    @property
    def now(self) -> Instant:
        return instant(self.moments.now)

    def write(self, record: Record) -> Row:
        """Write a row, and fold it in."""
        row = Row.model_construct(seq=len(self.rows) + 1, when=self.now, record=record)
        self.rows.append(row)
        self.hints = replace(after(self.hints, row), newest_at=row.at)
        return row

    def lent(self) -> Seated:
        lent = lending.standing(self.wish.slice, self.wish.rules, self.hints, self.now)
        return Seated(self.wish.slice, self.wish.rules, lent, self.rests)

    def attempt(self, aim: Aim, *, idles: bool) -> Ran:
        """Bring the host where it aims, in one run."""
        target = aim.target.slice
        wakes = target.power == "on" and self.power != "on"
        down = DOWN.get(target.power or "on") if self.power == "on" else None
        if self.power != "on" and not wakes:
            return "in_sync"
        names = sorted(set() if target.power in DOWN else target.active or ())
        stops = sorted(self.units.keys() - set(names))
        opens = [name for name in names if self.crowd.seats[name].identity is None]
        if not (wakes or down or stops or opens):
            self._adopt(aim)
            return "in_sync"
        if down and self.faults.rest:
            return "refused"
        run = self._opened(aim)
        if wakes and not (yield from self._woken()):
            return self._closed(run, aim, "unpowered")
        if not (yield from self._stopped(run, stops, aim, idles=idles)):
            return self._closed(run, aim, "interrupted")
        for name in opens:
            end = yield from self._started(run, name)
            if end != "completed":
                return self._closed(run, aim, end)
        is_on_trial = self._waits(TRIAL_SECONDS if opens else 0.0, idles=idles)
        if not (yield from is_on_trial):
            return self._closed(run, aim, "interrupted")
        if down:
            yield from self._put_down(down)
        return self._closed(run, aim, "completed")

    def _woken(self) -> Generator[float, None, bool]:
        yield from self._takes(self.speeds.wake)
        if self.faults.wake:
            return False
        self.power = "on"
        self.wakes()
        return True

    def _put_down(self, state: PowerState) -> Wait:
        self.falls_asleep()
        self.goes_down = True
        yield from self._takes(self.speeds.sleep)
        self.goes_down, self.power, self.units = False, state, {}

    def wakes(self) -> None:
        """Be told that the host is up again."""

    def falls_asleep(self) -> None:
        """Be told that the host is sent to sleep now."""

    def _adopt(self, aim: Aim) -> None:
        hints, target = self.hints, aim.target
        is_good = hints.last_good_digest == hints.wanted_digest == target.digest
        if aim.mode == "forward" and not (is_good and hints.quarantine is None):
            generation = self._generation(aim)
            adopted = Adopted(
                host=HOST, slice=target.slice, digest=target.digest, generation=generation,
                provenance=PROVENANCE,
            )  # fmt: skip
            self.write(adopted)

    def _generation(self, aim: Aim) -> int:
        is_new = aim.mode == "forward" and aim.target.digest != self.hints.wanted_digest
        return self.hints.generation + is_new

    def _opened(self, aim: Aim) -> int:
        target = aim.target
        self.runs.append(aim.mode)
        opened = RunOpened.model_construct(
            host=HOST, mode=aim.mode, slice=target.slice, digest=target.digest, key=aim.key,
            generation=self._generation(aim), trigger="watch", provenance=PROVENANCE, plan=(),
        )  # fmt: skip
        return self.write(opened).seq

    def _closed(self, run: int, aim: Aim, end: End) -> End:
        failed = end in REASONS
        closed = RunClosed.model_construct(
            host=HOST, run=run, verdict=VERDICTS.get(end, "failed"), reason=REASONS.get(end, ""),
            message="it died" if failed else "", key=aim.key if failed else None,
            quarantines=failed and aim.mode == "forward",
        )  # fmt: skip
        self.write(closed)
        return end

    def _stopped(
        self, run: int, names: list[str], aim: Aim, *, idles: bool
    ) -> Generator[float, None, bool]:
        """Hold new requests, wait for those under way, and stop; False where that is ended."""
        seats = self.crowd.seats
        for name in names:
            seats[name].close("it makes way")
        if any(seats[name].in_flight for name in names):
            self.drains(aim)
        until = self.moments.now + DRAIN_SECONDS
        while any(seats[name].in_flight for name in names) and self.moments.now < until:
            if not (yield from self._waits(min(1.0, until - self.moments.now), idles=idles)):
                return False
        for name in names:
            self.crowd.cut(name)
            yield from self._takes(self.speeds.stop)
            del self.units[name]
            self._done(run, "stop", name, self.speeds.stop)
        return True

    def drains(self, aim: Aim) -> None:
        """Be told that requests are under way where a run is to stop a model."""

    def _started(self, run: int, name: str) -> Ran:
        load = self.speeds.load * self.random.uniform(0.5, 1.0)
        is_new = name not in self.units
        ready = self.units.setdefault(name, self.moments.now + load)
        if not (yield from self._waits(ready - self.moments.now, idles=False)):
            return "interrupted"
        if name in self.faults.loads:
            del self.units[name]
            return "failed"
        if is_new:
            self._done(run, "start", name, load)
        self.opens(name)
        self.crowd.open(name)
        return "completed"

    def opens(self, model_name: str) -> None:
        """Be told that a model is about to serve."""

    def _done(self, run: int, step: str, name: str, seconds: float) -> None:
        done = StepDone.model_construct(
            host=HOST, run=run, number=1, step=step, model=name, outcome="done", seconds=seconds
        )
        self.write(done)

    def _takes(self, seconds: float) -> Wait:
        """Let an effect have its time."""
        until = self.moments.now + seconds
        while self.moments.now < until:
            yield until

    def _waits(self, seconds: float, *, idles: bool) -> Generator[float, None, bool]:
        """Wait; False where something ends that."""
        until = self.moments.now + seconds
        while self.moments.now < until and not self._is_ended(idles=idles):
            yield min([until, *(at for at, _ in self._load_ends())])
        return not self._is_ended(idles=idles)

    def _is_ended(self, *, idles: bool) -> bool:
        """Whether what is under way has an end, because it is for nobody or something else is."""
        is_asked = any(seat.waiting for seat in self.crowd.seats.values())
        if idles and is_asked and not self.interrupted:
            self.write(Roused(host=HOST, because="a request came before it rested"))
            self.interrupted = "a request came"
        for at, name in [*self._load_ends()]:
            if at <= self.moments.now:
                self.write(Released(host=HOST, model=name, because="no request waits for it"))
                self.interrupted = "no request waits"
        return bool(self.interrupted)

    def _load_ends(self) -> Iterator[tuple[float, str]]:
        """When the loads end that no request waits for any more."""
        for name, lease in self.lent().lent.items():
            demand = self.crowd.seats[name].demand
            is_file = name in (self.wish.slice.active or ())
            if lease.term is not None or is_file or demand.since is not None:
                continue
            if (demand.used or 0.0) > lease.since.boot:
                continue
            if demand.waiting:
                self.unawaited.pop(name, None)
                continue
            since = self.unawaited.setdefault(name, self.moments.now)
            usual = self.hints.typical_seconds("start", name)
            yield turns.load_end(self.began, usual, since), name
