"""Observer: asks the readers of one host side by side; what fails is Unknown, with the reason."""

from __future__ import annotations

from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import replace
from functools import partial
from typing import Literal, NamedTuple, TypeAlias, TypeVar

import anyio

from reconciler.core import attribution, power
from reconciler.core.observe_scope import (
    FILE_FACTS,
    GATE_FACTS,
    cheap_facts,
    costly_facts,
    found_facts,
    orphan_facts,
    silent_engines,
)
from reconciler.core.recovery import Hints
from reconciler.model.facts import Activity, Answer, Fact, Health, Known, Unit, Unknown
from reconciler.model.held_unit import HeldUnit
from reconciler.model.observed import (
    CANARY,
    CONTACT,
    FLAGS,
    HEALTH,
    POWER,
    TESTIMONY,
    UNIT,
    AnyFactKey,
    FactValue,
    Observed,
)
from reconciler.model.records import SentDown
from reconciler.model.spec import Slice
from reconciler.ports import Clock, EngineReader, HostReaders

Facts: TypeAlias = dict[AnyFactKey, Fact[FactValue]]
FactT = TypeVar("FactT")
Down: TypeAlias = Literal["off", "suspend"]
FactReader: TypeAlias = Callable[[], Awaitable[Fact[FactValue]]]
HintsReader: TypeAlias = Callable[[], Awaitable[Hints]]
Question: TypeAlias = Callable[[], Coroutine[object, object, None]]

READ_SECONDS = 30.0
LATE = f"no answer within {READ_SECONDS:.0f} s"
SECOND_LOOK_SECONDS = 3.0
"""A plan replaces an engine that does not answer; a machine that is busy for a moment must not look
like one."""


class Observer:
    """One host as its readers show it, each fact stamped with the controller's boot clock."""

    def __init__(
        self, readers: HostReaders, slice_: Slice, clock: Clock, hints: HintsReader | None = None
    ) -> None:
        """Look through `readers` for what `slice_` names.

        `hints` reads what is remembered of the host.
        """
        self._readers = readers
        self._slice, self._host = slice_, slice_.host.name
        self._clock = clock
        self._hints = hints or remembered(Hints())

    async def everything(self) -> Observed:
        """All that can be said of the host and its models."""
        return await self.for_planning(model.name for model in self._slice.models)

    async def for_planning(self, model_names: Iterable[str]) -> Observed:
        """What a plan reads when only these models may be started.

        An engine that does not answer is asked twice.
        """
        observed = await self.look(cheap_facts(self._slice, frozenset(model_names)))
        if silent := silent_engines(self._slice, observed):
            observed = await self._second_look(silent, observed)
        more = (*found_facts(self._slice, observed), *orphan_facts(self._slice, observed))
        observed = await self.look(more, observed) if more else observed
        costly = costly_facts(self._slice, observed, await self._hints())
        return await self._side_by_side(costly, observed)

    async def _second_look(self, silent: Sequence[AnyFactKey], observed: Observed) -> Observed:
        await self._clock.sleep(SECOND_LOOK_SECONDS)
        units = (UNIT(key.host, key.subject) for key in silent)
        return await self.look((*silent, *units), observed)

    async def look(self, keys: Iterable[AnyFactKey], world: Observed | None = None) -> Observed:
        """See the facts under `keys` again, beside all that was known of the `world`.

        An engine is asked as the unit that is known, or looked for. The power of a host is judged.
        """
        wanted = {key for key in keys if self._readers.gate or key.kind not in OF_A_GATE}
        seen, power_key, contact = world or Observed(), POWER(self._host), CONTACT(self._host)
        judges = power_key in wanted
        wanted = (wanted | {contact}) - {power_key} if judges else wanted
        rounds = _rounds(wanted, seen)
        seen = await self._side_by_side(rounds.first, seen)
        if judges:
            seen = await self._powered(seen, power_key)
        silence = seen.unknown(contact) if contact in wanted else None
        if silence is not None:
            # What stands on a silent host cannot be asked for (ADR 0009).
            return seen.seeing(dict.fromkeys(wanted - rounds.first, silence))
        seen = await self._side_by_side(rounds.second, seen)
        return await self._side_by_side(rounds.third, seen)

    async def _side_by_side(self, keys: Iterable[AnyFactKey], world: Observed) -> Observed:
        wanted = tuple(keys)
        if not wanted:
            return world
        facts: Facts = dict.fromkeys(wanted, Unknown(LATE, since=self._clock.boot()))
        await _all(tuple(self._questions(wanted, world, facts)))
        return attribution.owners_named(world.seeing(facts), wanted)

    def _questions(
        self, keys: Iterable[AnyFactKey], world: Observed, into: Facts
    ) -> Iterator[Question]:
        """What has to be asked; what is known without a question goes into the facts at once."""
        by_launchers = [key for key in keys if key.kind in {"unit", "orphans"}]
        if by_launchers:
            yield partial(self._units, by_launchers, world, into)
        for key in (one for one in keys if one not in by_launchers):
            answer = self._answer(key, world)
            if callable(answer):
                yield partial(self._read, key, answer, into, world.fact(key))
            else:
                into[key] = self._stamped(answer, world.fact(key))

    async def _powered(self, seen: Observed, key: AnyFactKey) -> Observed:
        """Judge the power of a host whose contact was looked for."""
        sent, before = (await self._hints()).sent_down, seen.fact(key)
        if seen.unknown(CONTACT(self._host)) is not None:
            seen = await self._with_witnesses(seen, sent)
        judged = power.judged(seen, self._host, sent, self._clock.instant())
        return seen.seeing({key: self._stamped(judged, before)})

    async def _with_witnesses(self, seen: Observed, sent: SentDown | None) -> Observed:
        """Ask others about a silent host: its witness, and its neighbours where those decide."""
        seen = await self._side_by_side([TESTIMONY(self._host)], seen)
        if not power.needs_canary(seen, self._host, sent):
            return seen
        key = CANARY(self._host)
        asked = await self._side_by_side([key], seen)
        steady = power.steady(seen.fact(key), asked.fact(key), self._clock.instant())
        return asked.seeing({key: steady})

    async def _read(
        self, key: AnyFactKey, reader: FactReader, into: Facts, before: Fact[FactValue]
    ) -> None:
        into[key] = self._stamped(_following(await reader(), before), before)

    def _stamped(self, fact: Fact[FactT], before: Fact[FactValue]) -> Fact[FactT]:
        """A fact with when it was seen, or since when it is not known."""
        now = self._clock.boot()
        match fact:
            case Known():
                return replace(fact, at=now)
            case Unknown():
                since = before.since if isinstance(before, Unknown) else 0.0
                return replace(fact, since=since or now)
            case _:
                return fact

    def _reader(self, key: AnyFactKey) -> FactReader:
        readers = self._readers
        match key.kind:
            case "contact":
                return readers.access.contact
            case "testimony":
                return readers.power.testimony
            case "canary":
                return readers.power.canary
            case "guards":
                way: Down = "suspend" if self._slice.power == "suspend" else "off"
                return partial(readers.power.guards, way)
            case "prepared":
                return readers.access.prepared
            case "claim":
                return readers.access.claim
            case "gpu":
                return readers.gpu.gpu
            case "port":
                return self._port_reader(key.subject)
            case "admitting" | "traffic":
                return self._gate_reader(key)
            case _:
                return self._model_reader(key)

    def _port_reader(self, door: str) -> FactReader:
        own = (model for model in self._slice.models if model.door == door)
        model = next(own, None)
        if model is not None:
            return partial(self._readers.access.port, model.port, model.inside)
        return partial(self._readers.access.port, int(door))

    def _gate_reader(self, key: AnyFactKey) -> FactReader:
        gate = self._readers.gate
        if gate is None:
            return _not_defined
        read = gate.admitting if key.kind == "admitting" else gate.traffic
        return lambda: read(key.subject)

    def _model_reader(self, key: AnyFactKey) -> FactReader:
        model = self._readers.models.get(key.subject)
        spec = self._slice.model(key.subject)
        if model is None or spec is None:
            return _not_defined
        match key.kind:
            case "weights":
                return model.files.weights
            case "saved":
                return model.files.saved
            case "fingerprint":
                return model.files.fingerprint
            case "flags":
                return lambda: model.launcher.flags(spec)
            case _:
                return lambda: model.launcher.binary(spec)

    async def _units(self, keys: Collection[AnyFactKey], world: Observed, into: Facts) -> None:
        launchers = self._readers.launchers
        former = attribution.former(self._slice, await self._hints())
        answers: dict[str, Fact[tuple[HeldUnit, ...]]] = dict.fromkeys(launchers, Unknown(LATE))
        told = attribution.LauncherAnswers(self._slice, former, answers, self._needing())

        # Each by itself: a launcher that is silent, or late, hides what it may hold and nothing
        # else.
        async def ask(kind: str) -> None:
            mine = [model for model in former if model.launcher.kind == kind]
            answers[kind] = await launchers[kind].units(mine)
            into.update({key: self._stamped(told.fact(key), world.fact(key)) for key in keys})

        await _all([partial(ask, kind) for kind in launchers])

    def _needing(self) -> set[str]:
        launchers = self._readers.launchers
        return {kind for kind, launcher in launchers.items() if launcher.needs_definition}

    def _answer(self, key: AnyFactKey, world: Observed) -> FactReader | Fact[FactValue]:
        """What can answer, or the answer itself where an engine need not be asked."""
        if key.kind not in ENGINE_FACTS:
            return self._reader(key)
        unit_key = UNIT(key.host, key.subject)
        unit, unknown = world.value(unit_key), world.unknown(unit_key)
        if unknown is not None:
            return Unknown(f"{unit_key}: {unknown.reason}")
        if unit is None:
            return Known(ABSENT[key.kind])
        model = self._readers.models.get(key.subject)
        if model is None:
            return Known(_undefined(unit))
        return _engine_answer(model.engine, unit, key, world)


ENGINE_FACTS = {"health", "activity", "answered"}
OF_A_GATE = {one.kind for one in GATE_FACTS}
READ_LATE = {one.kind for one in (*FILE_FACTS, FLAGS)}
"""What is read of files, or by running one: once the host is known to answer."""

ABSENT: Mapping[str, FactValue] = {
    "health": Health(phase="absent"),
    "activity": Activity(calm=True),
    "answered": Answer(),
}


class _Rounds(NamedTuple):
    """What is looked at one after the other."""

    first: set[AnyFactKey]
    second: set[AnyFactKey]
    third: set[AnyFactKey]


def _rounds(wanted: set[AnyFactKey], seen: Observed) -> _Rounds:
    """Whether the host answers, and its units; then files and health; then what engines do."""
    of_engines = {key for key in wanted if key.kind in ENGINE_FACTS}
    models = {(key.host, key.subject) for key in of_engines}
    health = {HEALTH(key.host, key.subject) for key in of_engines if key.kind != "activity"}
    units = {unit for model in models if (unit := UNIT(*model)) not in seen}
    files = {key for key in wanted if key.kind in READ_LATE}
    # Files are read while engines think: all at once would keep each other from the one
    # interpreter that there is.
    first = {*wanted, *units} - of_engines - files
    return _Rounds(first, files | health, {key for key in of_engines if key.kind != "health"})


def _engine_answer(
    engine: EngineReader, unit: Unit, key: AnyFactKey, world: Observed
) -> FactReader | Fact[FactValue]:
    if key.kind == "health":
        return lambda: engine.health(unit)
    if key.kind == "activity":
        return lambda: engine.activity(unit)
    health = world.value(HEALTH(key.host, key.subject))
    if health is None or not health.tells:
        return Known(Answer(message="it is not ready"))
    return lambda: engine.answer(unit)


def _undefined(unit: Unit) -> Health:
    return Health(phase="unresponsive", message="it is in no inventory", identity=unit.identity)


def _following(fact: Fact[FactValue], before: Fact[FactValue]) -> Fact[FactValue]:
    """An engine's work with what the look before tells of it, any other fact as it is."""
    if not isinstance(fact, Known) or not isinstance(fact.value, Activity):
        return fact
    # Idle is what two looks that follow each other say (ADR 0014).
    if isinstance(before, Known) and isinstance(before.value, Activity):
        return replace(fact, value=fact.value.following(before.value))
    return fact


async def _all(asked: Sequence[Question]) -> None:
    """Wait until all have answered side by side, or it is late."""
    if not asked:
        return
    # The first needs no task, which takes 2 KiB with anyio 4.16.
    first, *others = asked
    with anyio.move_on_after(READ_SECONDS):
        if not others:
            await first()
            return
        async with anyio.create_task_group() as group:
            for one in others:
                group.start_soon(one)
            await first()


def remembered(hints: Hints) -> HintsReader:
    """A reader of hints that do not change while it is looked."""

    async def read() -> Hints:
        return hints

    return read


async def _not_defined() -> Fact[FactValue]:
    return Unknown("it has no definition here")
