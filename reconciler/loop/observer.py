"""Observer: ask the readers of one host side by side, each within its time.

What fails becomes Unknown with the reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias, TypeVar

import anyio

from reconciler.core import attribution, power
from reconciler.core.observe_scope import (
    FILE_FACTS,
    cheap_facts,
    costly_facts,
    found_facts,
    orphan_facts,
    silent_engines,
)
from reconciler.core.recovery import Hints
from reconciler.model.facts import Activity, Answer, Fact, Health, Known, Unit, Unknown
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
from reconciler.model.spec import Slice
from reconciler.ports import Clock, HostReaders

Facts: TypeAlias = dict[AnyFactKey, Fact[FactValue]]
FactT = TypeVar("FactT")
FactReader: TypeAlias = Callable[[], Awaitable[Fact[FactValue]]]
HintsReader: TypeAlias = Callable[[], Awaitable[Hints]]

READ_SECONDS = 30.0
LATE = f"no answer within {READ_SECONDS:.0f} s"
SECOND_LOOK_SECONDS = 3.0
"""A plan replaces an engine that does not answer; a machine that is busy for a moment must not look
like one."""


class Observer:
    """Look at one host through its readers.

    Every fact is stamped with the controller's boot clock.
    """

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
        """Return all that can be said of the host and its models."""
        return await self.for_planning(model.name for model in self._slice.models)

    async def for_planning(self, model_names: Iterable[str]) -> Observed:
        """Return what a plan reads when only these models may be started: costly facts only where they matter.

        An engine that does not answer is asked twice.
        """
        observed = await self.look(cheap_facts(self._slice, frozenset(model_names)))
        silent = silent_engines(self._slice, observed)
        if silent:
            await self._clock.sleep(SECOND_LOOK_SECONDS)
            observed = await self.look(
                (*silent, *(UNIT(key.host, key.subject) for key in silent)), observed
            )
        more = (*found_facts(self._slice, observed), *orphan_facts(self._slice, observed))
        observed = await self.look(more, observed) if more else observed
        return await self._side_by_side(costly_facts(self._slice, observed), observed)

    async def look(self, keys: Iterable[AnyFactKey], world: Observed | None = None) -> Observed:
        """Return `world` with the facts under `keys` seen anew.

        An engine is asked as the unit that is known, or looked for.

        The power of a host is judged; once that is silent, nobody asks for what stands on it.
        """
        wanted = {*keys}
        seen, power_key, contact = world or Observed(), POWER(self._host), CONTACT(self._host)
        judges = power_key in wanted
        wanted = (wanted | {contact}) - {power_key} if judges else wanted
        of_engines = [key for key in wanted if key.kind in ENGINE_FACTS]
        health = {HEALTH(key.host, key.subject) for key in of_engines if key.kind != "activity"}
        units = {unit for key in of_engines if (unit := UNIT(key.host, key.subject)) not in seen}
        files = {key for key in wanted if key.kind in READ_LATE}
        # Files are read while engines think: all at once would keep each other from the one
        # interpreter that there is.
        seen = await self._side_by_side({*wanted, *units} - {*of_engines, *files}, seen)
        if judges:
            seen = await self._powered(seen, power_key)
        silence = seen.unknown(contact) if contact in wanted else None
        if silence is not None:
            return seen.seeing(dict.fromkeys({*files, *of_engines}, silence))
        seen = await self._side_by_side({*files, *health}, seen)
        return await self._side_by_side([key for key in of_engines if key.kind != "health"], seen)

    async def _side_by_side(self, keys: Iterable[AnyFactKey], world: Observed) -> Observed:
        wanted = tuple(keys)
        if not wanted:
            return world
        grouped = [key for key in wanted if key.kind in {"unit", "orphans"}]
        facts: Facts = dict.fromkeys(wanted, Unknown(LATE, since=self._clock.boot()))
        asked: list[Callable[[], Coroutine[object, object, None]]] = (
            [partial(self._units, grouped, world, facts)] if grouped else []
        )
        for key in (one for one in wanted if one not in grouped):
            answer = (
                self._engine_answer(key, world) if key.kind in ENGINE_FACTS else self._reader(key)
            )
            if callable(answer):
                asked.append(partial(self._read, key, answer, facts, world.fact(key)))
            else:
                facts[key] = self._stamped(answer, world.fact(key))
        await _all(asked)
        return attribution.owners_named(world.seeing(facts), wanted)

    async def _powered(self, seen: Observed, key: AnyFactKey) -> Observed:
        """Return a world in which contact was looked for, with the power judged.

        Others are asked about a silent host.
        """
        sent, before = (await self._hints()).sent_down, seen.fact(key)
        if seen.unknown(CONTACT(self._host)) is not None:
            seen = await self._side_by_side([TESTIMONY(self._host)], seen)
            if power.needs_canary(seen, self._host, sent):
                canary = CANARY(self._host)
                asked = await self._side_by_side([canary], seen)
                seen = asked.seeing(
                    {
                        canary: power.steady(
                            seen.fact(canary), asked.fact(canary), self._clock.instant()
                        )
                    }
                )
        judged = power.judged(seen, self._host, sent, self._clock.instant())
        return seen.seeing({key: self._stamped(judged, before)})

    async def _read(
        self, key: AnyFactKey, reader: FactReader, into: Facts, before: Fact[FactValue]
    ) -> None:
        into[key] = self._stamped(_following(await reader(), before), before)

    def _stamped(self, fact: Fact[FactT], before: Fact[FactValue]) -> Fact[FactT]:
        """Return a fact with when it was seen.

        What was not known before already is not known for as long.
        """
        match fact:
            case Known():
                return replace(fact, at=self._clock.boot())
            case Unknown():
                return replace(
                    fact,
                    since=(
                        before.since
                        if isinstance(before, Unknown) and before.since
                        else self._clock.boot()
                    ),
                )
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
                return partial(
                    readers.power.guards, "suspend" if self._slice.power == "suspend" else "off"
                )
            case "prepared":
                return readers.access.prepared
            case "claim":
                return readers.access.claim
            case "gpu":
                return readers.gpu.gpu
            case "port":
                return partial(readers.access.port, int(key.subject))
            case _:
                return self._model_reader(key)

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
        """Ask each launcher by itself: one that is silent, or late, hides what it may hold and nothing else."""
        launchers, host_slice = self._readers.launchers, self._slice
        former = attribution.former(host_slice, await self._hints())
        needing = {kind for kind, launcher in launchers.items() if launcher.needs_definition}
        answers: dict[str, Fact[tuple[Unit, ...]]] = dict.fromkeys(launchers, Unknown(LATE))

        async def ask(kind: str) -> None:
            answers[kind] = await launchers[kind].units(
                [model for model in former if model.launcher.kind == kind]
            )
            told = attribution.LauncherAnswers(host_slice, former, answers, needing)
            into.update({key: self._stamped(told.fact(key), world.fact(key)) for key in keys})

        await _all([partial(ask, kind) for kind in launchers])

    def _engine_answer(self, key: AnyFactKey, world: Observed) -> FactReader | Fact[FactValue]:
        """Return who can answer, or the answer where the engine need not be asked."""
        unit_key = UNIT(key.host, key.subject)
        unit = world.value(unit_key)
        unknown = world.unknown(unit_key)
        model = self._readers.models.get(key.subject)
        if unknown is not None:
            return Unknown(f"{unit_key}: {unknown.reason}")
        if unit is None:
            return Known(ABSENT[key.kind])
        if model is None:
            return Known(
                Health(
                    phase="unresponsive", message="it is in no inventory", identity=unit.identity
                )
            )
        engine = model.engine
        if key.kind == "health":
            return lambda: engine.health(unit)
        if key.kind == "activity":
            return lambda: engine.activity(unit)
        health = world.value(HEALTH(key.host, key.subject))
        if health is None or not health.tells:
            return Known(Answer(message="it is not ready"))
        return lambda: engine.answer(unit)


ENGINE_FACTS = {"health", "activity", "answered"}
READ_LATE = {one.kind for one in (*FILE_FACTS, FLAGS)}
"""What is read of files, or by running one: once the host is known to answer."""

ABSENT: Mapping[str, FactValue] = {
    "health": Health(phase="absent"),
    "activity": Activity(calm=True),
    "answered": Answer(),
}


def _following(fact: Fact[FactValue], before: Fact[FactValue]) -> Fact[FactValue]:
    """Return what was seen of an engine's work with what the look before tells of it, any other fact as it is."""
    if not (isinstance(fact, Known) and isinstance(fact.value, Activity)):
        return fact
    earlier = (
        before.value if isinstance(before, Known) and isinstance(before.value, Activity) else None
    )
    return replace(fact, value=fact.value.following(earlier)) if earlier else fact


async def _all(asked: Sequence[Callable[[], Coroutine[object, object, None]]]) -> None:
    """Wait until everybody has answered side by side, or it is late.

    The first needs no task (2 KiB with anyio 4.16).
    """
    if not asked:
        return
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
    """Return what reads a memory that does not change while it is looked."""

    async def read() -> Hints:
        return hints

    return read


async def _not_defined() -> Fact[FactValue]:
    return Unknown("it has no definition here")
