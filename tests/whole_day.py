"""Whole days of a host under `serve`: clients, people, edits, faults, sleep; and what always holds.

Whatever happens on a day, these hold (`WholeDay` checks them as things happen):

- starvation: a model that is owed a turn comes in within `Place.longest_wait`, counted from when it
  is owed one, or from the last thing that people or faults did to the host, whichever is later, and
  what failed is tried again as soon as its wait is over.
  Where a person has the place, who asks is told so at once and does not wait.
- thrash: a turn takes no place before its time from a model in use, and what failed to come in, or
  to rest, is not tried again before its wait is over.
- cuts: no request under way is ended by a turn, by the end of one, or by a rest: only what people
  did (an edit, a model taken or given back, the end of its time) ends one, after 60 s.
- isolation: what is lent and rests leaves last good, quarantine and generation as the files' own
  runs left them.
- rest: a host comes to rest only while nobody asks, nothing is taken and it is not held, and in the
  end it always does.
- calm: the host is never busy without end.
- people: what a person took ends by its time, by people, or by its failure, never by requests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from random import Random

from reconciler.core import lending, policy
from reconciler.core.admission import routes
from reconciler.core.canonical import digest
from reconciler.core.policy import Aim
from reconciler.core.recovery import Hints, after
from reconciler.core.retries import RETRY, retry_at
from reconciler.core.seating import Seated
from reconciler.model.leasing import Idled, Leased, Released, Term
from reconciler.model.lending import Idle, Rest, Rules
from reconciler.model.records import Hold, Record, Resume, Row, RunClosed, RunOpened, StepDone
from reconciler.model.spec import Capabilities, ModelSpec, Slice, WantedPower
from reconciler.model.target import Wanted
from tests.day_clients import Crowd, Habits, Moments
from tests.day_host import DayHost
from tests.day_runs import Faults, Speeds, Wish
from tests.sample_worlds import HOST, PROVENANCE, model, slice_of
from tests.turns_day import seeded

SLACK = 1e-6
PERSONS_ENDS = (
    "given back",
    "its time is over",
    "the files ask",
    "another model was lent",
    "it died",
)
MODES = {"lease", "idle"}
ABLE = Capabilities(can_wake=True, can_shut_down=True, can_suspend=True)
LONGEST_USE = 900.0
SETTLING = 6 * 3600.0
"""How long the last waits may be after whatever failed: they grow to 19 minutes each."""


@dataclass(frozen=True)
class Place:
    """The files of a day, one after the other, its clients, and how often what else happens."""

    wishes: tuple[Wish, ...]
    habits: Habits
    speeds: Speeds
    people: float = inf
    faults: float = inf

    @property
    def longest_wait(self) -> float:
        """How long a model that is owed a turn waits at most while nothing else happens."""
        models = len(self.wishes[0].slice.models)
        kept = max(wish.rules.min_residency for wish in self.wishes)
        # A switch of other places may be under way when one is to make way, and when it has.
        turn = kept + self.habits.answer + 3 * self.speeds.switch
        return (models - 1) * turn + 2 * self.speeds.switch


class WatchedHost(DayHost):
    """A host whose every row and step is looked at."""

    operators = Hints()
    """What is known by the rows of the files' own runs alone."""

    failures: dict[str, tuple[float, str]]
    in_passing = False
    disturbed_at = 0.0
    are_people_at_it = True
    longest_wait = inf

    def disturbed(self) -> None:
        """Take that something else than requests happens to the host."""
        self.disturbed_at = self.moments.now

    def write(self, record: Record) -> Row:
        self._check_row(record)
        row = super().write(record)
        if isinstance(record, RunOpened):
            self.in_passing = record.mode in MODES
        if not (self.in_passing and isinstance(record, RunOpened | RunClosed | StepDone)):
            self.operators = after(self.operators, row)
        for name in ("last_good_digest", "quarantine", "generation", "wanted_digest"):
            assert getattr(self.hints, name) == getattr(self.operators, name), f"touched {name}"
        is_failure = isinstance(record, RunClosed) and record.verdict != "promoted"
        if is_failure or self.runs[-1:] not in ([], ["lease"], ["forward"]):
            self.disturbed()
        return row

    def _check_row(self, record: Record) -> None:
        if isinstance(record, Released) and record.model in self.hints.leases:
            if self.hints.leases[record.model].term is not None:
                assert record.because.startswith(PERSONS_ENDS), "requests ended a person's lease"
                self.people_act()
            if record.failed is not None:
                self.failures[record.model] = self.moments.now, record.failed
                self.disturbed()
        if isinstance(record, Idled):
            self._check_rest()
            failure = self.hints.restless
            is_same = failure is not None and failure.key == record.wanted
            assert not is_same or failure is None or retry_at(failure) <= self.moments.now + SLACK
        if isinstance(record, Leased) and record.term is None:
            failed_at, failed = self.failures.get(record.model, (-inf, ""))
            is_same = lending.lent_alone(self.wish.slice, record.model) == failed
            waited = self.moments.now - failed_at >= RETRY.initial - SLACK
            assert not is_same or waited, "tried again too soon"

    def _check_rest(self) -> None:
        seats = self.crowd.seats.values()
        assert not any(seat.in_flight or seat.waiting for seat in seats), "rests while asked"
        assert policy.holding(self.hints, self.now) is None, "rests while held"
        assert not lending.taken(self.lent().lent), "rests while a person has it"

    def people_act(self) -> None:
        """Take that what requests have under way may be ended for what people did."""
        self.are_people_at_it = True
        self.disturbed()

    def grants(self, model_name: str, seated: Seated) -> None:
        served = {name for name, seat in self.crowd.seats.items() if seat.identity is not None}
        for holder in lending.rivals(seated.slice)[model_name] & served:
            demand, least = self.crowd.seats[holder].demand, seated.rules.min_residency
            assert demand.in_flight == 0, "cut by a turn"
            assert demand.since is not None
            unused = self.moments.now - max(demand.since, demand.used or 0.0)
            had_its_time = self.moments.now - demand.since >= least - SLACK
            assert had_its_time or (not demand.waiting and unused > 0.0), "thrash"

    def drains(self, aim: Aim) -> None:
        assert self.are_people_at_it, f"a run of the mode {aim.mode} would cut requests"

    def falls_asleep(self) -> None:
        assert not any(seat.waiting for seat in self.crowd.seats.values()), "asleep while asked"
        self.disturbed()

    def wakes(self) -> None:
        self.disturbed()

    def opens(self, model_name: str) -> None:
        self.check_wait(model_name)

    def check_wait(self, model_name: str) -> None:
        """Nobody who is owed a turn waits for longer than the turns of all others take."""
        demand = self.crowd.seats[model_name].demand
        if demand.oldest is None:
            return
        if policy.holding(self.hints, self.now) is not None or self.power != "on" or self.goes_down:
            return
        owed = max(demand.oldest, demand.used or 0.0, demand.since or 0.0, self.disturbed_at)
        longest_wait = self.longest_wait + self.again_seconds
        assert self.moments.now - owed <= longest_wait + SLACK, "starved"


class WholeDay:
    """One day of a host."""

    def __init__(self, place: Place, seed: int) -> None:
        self.place, self.random, self.moments = place, seeded(seed), Moments()
        self.crowd = Crowd(place.habits, self.random, self.moments)
        wish, random = place.wishes[0], self.random
        self._route(wish)
        self.host = WatchedHost(wish, place.speeds, self.crowd, self.moments, random)
        self.host.longest_wait, self.host.failures = place.longest_wait, {}
        self.due = self.moments.now
        self.crowd.come()
        self._again(place.people, self._people_do)
        self._again(place.faults, self._something_breaks)

    def _route(self, wish: Wish) -> None:
        wanted = Wanted(slices={HOST: wish.slice}, rules={HOST: wish.rules}, provenance=PROVENANCE)
        self.crowd.route({one.model: one for one in routes(wanted).models})

    def _again(self, every: float, act: Callable[[], None]) -> None:
        if every < inf:
            self.moments.after(self.random.uniform(0.0, 2 * every), act)

    def lived(self, events: int) -> WholeDay:
        """Let so much happen, then let it become quiet."""
        for _ in range(events):
            self._step()
        self._becomes_quiet()
        return self

    def _step(self) -> None:
        if self.due <= self.moments.next:
            assert self.due < inf, "asleep, and nobody will wake it"
            self.moments.now = self.due
            self._resume()
            return
        self.moments.happen()
        host = self.host
        if host.is_looked_for or host.interrupted or self.crowd.lobby.rung:
            self._resume()

    def _resume(self) -> None:
        host = self.host
        self.due = next(host.keeper)
        if host.is_at_rest:
            self._check_told()
            is_left = bool(host.stuck) or policy.holding(host.hints, host.now) is not None
            host.are_people_at_it &= is_left
        for name in self.crowd.seats:
            host.check_wait(name)

    def _check_told(self) -> None:
        """Whoever asks for what a person keeps out is told, and does not wait."""
        host = self.host
        if policy.holding(host.hints, host.now) is None and not host.is_looked_for:
            for name in lending.kept_out(host.wish.slice, host.lent().lent):
                seat = self.crowd.seats[name]
                assert seat.identity is not None or not seat.waiting, "waits for a person's place"

    def _becomes_quiet(self) -> None:
        """Let all go home, and see that the host comes to rest by itself."""
        host, place = self.host, self.place
        self.crowd.is_closed = True
        self.place = replace(place, people=inf, faults=inf)
        host.faults = Faults()
        self._says(Resume(host=HOST))
        until = self.moments.now + SETTLING
        while self.moments.now < until and not self._is_quiet():
            self._step()
        assert self._is_quiet(), "it does not come to rest"

    def _is_quiet(self) -> bool:
        host = self.host
        rules = host.wish.rules
        if not host.is_at_rest or host.is_looked_for:
            return False
        if rules.idle is not None and rules.idle.then != "unload" and host.power != "on":
            return True
        if rules.idle is not None:
            return not host.units
        lasts = rules.return_after is None and not lending.taken(host.hints.leases)
        return lasts or not host.hints.leases

    # What people do, and what breaks.

    def _says(self, record: Record) -> None:
        self.host.people_act()
        self.host.write(record)
        self.host.look()

    def _people_do(self) -> None:
        self._again(self.place.people, self._people_do)
        if self.place.people < inf:
            self.random.choice([self._take, self._take, self._give_back, self._edit, self._hold])()

    def _take(self) -> None:
        wanted = self.host.wish.slice
        seconds = self.random.choice([1.0, 30.0, 200.0, LONGEST_USE])
        term = Term(by=self.random.choice(["ann", "bob"]), until=self.moments.now + seconds)
        name = self.random.choice(wanted.models).name
        self._says(Leased(host=HOST, model=name, wanted=digest(wanted), term=term))

    def _give_back(self) -> None:
        for name in lending.taken(self.host.hints.leases):
            self._says(Released(host=HOST, model=name, because="given back"))

    def _edit(self) -> None:
        wish = self.random.choice(self.place.wishes)
        self.host.people_act()
        self._route(wish)
        self.host.want(wish)

    def _hold(self) -> None:
        held = self.host.hints.held
        until = self.moments.now + self.random.choice([5.0, 100.0])
        if held is None:
            self._says(Hold(host=HOST, reason="a game", until=until))
        else:
            self._says(Resume(host=HOST))

    def _something_breaks(self) -> None:
        self._again(self.place.faults, self._something_breaks)
        if self.place.faults == inf:
            return
        chance, names = self.random, [one.name for one in self.host.wish.slice.models]
        some = {name for name in names if chance.random() < 0.4}
        self.host.faults = Faults(some, wake=chance.random() < 0.3, rest=chance.random() < 0.3)
        if self.host.power != "on" and chance.random() < 0.3 and self.host.is_at_rest:
            # Somebody presses the button.
            self.host.boot += self.host.power == "off"
            self.host.power = "on"
            self.host.disturbed()
            self.host.look()


def any_models(random: Random) -> tuple[ModelSpec, ...]:
    """Return models that share one place, or cards, or run beside others."""
    names = "abcd"[: random.randint(2, 4)]
    if random.random() < 0.5:
        return tuple(model(name) for name in names)
    return tuple(
        model(
            name,
            port=8080 + number,
            gpus=tuple(random.sample(range(2), random.randint(1, 2))),
            task="embedding" if random.random() < 0.2 else "chat",
        )
        for number, name in enumerate(names)
    )


def any_slice(random: Random, models: tuple[ModelSpec, ...], power: WantedPower | None) -> Slice:
    """Return a wish for models that can run side by side, of which there may be none."""
    against = lending.rivals(slice_of((), *models))
    active: list[str] = []
    for one in random.sample(models, random.randint(0, len(models))):
        if against[one.name].isdisjoint(active):
            active.append(one.name)
    return slice_of(tuple(sorted(active)), *models, power=power, capabilities=ABLE)


def any_wish(random: Random, models: tuple[ModelSpec, ...], rest: Rest | None) -> Wish:
    """Return what the files say, once."""
    names = tuple(one.name for one in models)
    sleeps = rest in {"suspend", "off"}
    power: WantedPower | None = None if sleeps else random.choice([None, "on"])
    idle = None if rest is None else Idle(after=random.choice([60.0, 300.0]), then=rest)
    rules = Rules(
        allow=random.choice([names, names, names[:1], ()]),
        return_after=random.choice([None, 0.0, 5.0, 60.0]),
        min_residency=random.choice([0.0, 5.0, 30.0]),
        max_wait=random.choice([20.0, 240.0, 3600.0]),
        idle=idle,
        sleeps=sleeps,
    )
    return Wish(any_slice(random, models, power), rules)


def any_place(seed: int) -> Place:
    """Return the place of a day."""
    random = seeded(seed)
    models = any_models(random)
    rests: list[Rest | None] = [None, "unload", "suspend", "off"]
    rest = random.choice(rests)
    names = [one.name for one in models]
    habits = [random.choice([None, *names]) for _ in range(10)]
    return Place(
        wishes=tuple(any_wish(random, models, rest) for _ in range(3)),
        habits=Habits(
            asks=lambda chance, client: habits[client] or chance.choice(names),
            clients=random.choice([1, 3, 10]),
            at_once=random.choice([1000, 1, 4]),
            answer=random.choice([0.05, 1.0, 10.0, 90.0]),
            think=random.choice([0.1, 1.0, 30.0, 400.0]),
        ),
        speeds=Speeds(load=random.choice([0.5, 5.0, 20.0]), wake=random.choice([5.0, 40.0])),
        people=random.choice([inf, 20.0, 200.0]),
        faults=random.choice([inf, 30.0, 300.0]),
    )
