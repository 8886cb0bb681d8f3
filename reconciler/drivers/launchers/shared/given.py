"""Units that exist already, whose command lines are the operator's: services, containers.

Such a unit carries no mark. That it is a model's is what the model's definition says, and it runs
as defined unless it is older than what its definition was changed to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import anyio
from pydantic import TypeAdapter

from reconciler.edge import secret
from reconciler.model.facts import Binary, Fact, Flags, Known, Mark, Unit, UnitIdentity, Unknown
from reconciler.model.given_command import GivenCommand
from reconciler.model.held_unit import HeldUnit, UnseenUnit
from reconciler.model.log import LogPart
from reconciler.model.names import Value
from reconciler.model.onhost.answers import understood
from reconciler.model.onhost.compose import GivenComposeService
from reconciler.model.onhost.containers import GivenContainer
from reconciler.model.onhost.lxc import GivenLxc
from reconciler.model.origin import Service
from reconciler.model.reason import Reason

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from pydantic import JsonValue

    from reconciler.model.onhost import Question
    from reconciler.model.spec import Kind, ModelSpec
    from reconciler.ports import Access, Evidence

AGAIN_SECONDS = 5.0
KILL_SECONDS = 10.0
LOOK_SECONDS = 25.0
"""How long a unit may take to be seen: less than all that is asked of a host is waited for."""

LATE = f"it did not show within {LOOK_SECONDS:.0f} s whether it runs"

Given: TypeAlias = Service | GivenContainer | GivenLxc | GivenComposeService


class _Running(Value):
    """What runs of it. `outdated`: what says how it runs is newer."""

    identity: UnitIdentity
    members: tuple[int, ...]
    uptime: float
    started_at: float | None
    leader: bool
    restarts: int
    argv: tuple[str, ...]
    outdated: bool = False
    ended: str = ""
    returns: str = ""
    locked: str = ""
    notes: tuple[str, ...] = ()


class _Seen(Value):
    """What there is of it. `ports` of the host are those that lead to it, None: all of them."""

    binary: Binary
    unit: _Running | None
    ports: tuple[int, ...] | None = None


_SEEN = TypeAdapter(tuple[_Seen, ...])


class GivenUnits:
    """The launcher of units that exist on the host behind `access`, one for each of `models`."""

    needs_definition = True

    what: ClassVar[str]
    option: ClassVar[str]
    asks: ClassVar[type[Any]]
    asks_log: ClassVar[type[Any]]
    asks_command: ClassVar[type[Any]]
    starts: ClassVar[type[Any]]
    stops: ClassVar[type[Any]]

    def __init__(self, access: Access, models: Sequence[ModelSpec]) -> None:
        """Use a host; each model's own options name its unit."""
        self._access = access
        self._models = models

    def given(self, launcher: Kind, model_name: str) -> Given:
        """Name the unit that a model's options mean."""
        raise NotImplementedError

    @staticmethod
    def asked_with(given: Given) -> Hashable:
        """What units have in common that are asked about at once: these hide each other."""
        return given

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[HeldUnit, ...]]:
        """Every unit of the models that runs, or that its keeper means to start again.

        One that only a former definition names is its model's still, and runs another definition
        than the wanted one.
        """
        # Of one that is named in two ways, all are told: whose it is, is not decided here.
        named = self._by_given([*self._models, *former])
        seen = await self._side_by_side(list(named))
        return Known(
            tuple(held for given, model in named.items() for held in self._held(model, seen[given]))
        )

    def _held(self, model: ModelSpec, seen: Fact[_Seen]) -> Sequence[HeldUnit]:
        """What of a unit is told: that it runs, that this could not be seen, or nothing."""
        sharing = [one for one in self._models if self._of(one) == self._of(model)]
        if len(sharing) > 1:
            reason = self._shared(sharing)
            return [_unseen(one, reason) for one in sharing]
        if isinstance(seen, Unknown):
            return [_unseen(model, seen.reason)]
        unit = seen.value.unit
        return [_unit(model, unit, model in self._models)] if unit else []

    async def binary(self, model: ModelSpec) -> Fact[Binary]:
        """The program that it runs, as new as its newest file, or why it cannot start."""
        (seen,) = await self._looked_at([self._of(model)])
        if isinstance(seen, Unknown):
            return seen
        one = seen.value
        # It has its own key; but where ours cannot be read, whether it works is not seen.
        missing = self._unreached(model, one.ports) or secret.problem(model.command.secrets)
        return Known(one.binary.model_copy(update={"problem": one.binary.problem or missing}))

    def _unreached(self, model: ModelSpec, ports: tuple[int, ...] | None) -> Reason:
        """Tell that the model's port does not lead to its unit, if that is known."""
        if ports is None or model.door != model.port or model.port in ports:
            return Reason()
        who, again = f"{self.what} {self._of(model).name}", "make it again with"
        publish = f"`-p 127.0.0.1:{model.port}:PORT`"
        if ports:
            listed = ", ".join(map(str, ports))
            return Reason(
                f"{who} publishes no port {model.port} on the host's loopback, but {listed}",
                f"write that as `port:` of {model.name}, or {again} {publish}",
            )
        return Reason(
            f"{who} has its own network, and publishes no port on the host's loopback",
            f"{again} {publish} or `--network host`, or write `network: own` beside its launcher",
        )

    async def flags(self, model: ModelSpec) -> Fact[Flags]:  # noqa: ARG002 - the port's
        """No objection: its command line is its own."""
        return Known(Flags())

    async def command(self, model: ModelSpec) -> Fact[GivenCommand]:
        """What it runs, or would be started with."""
        given = self._of(model)
        (fact,) = await self._access.ask([self.asking(model)])
        what = f"the command line of the {self.what} {given.name}"
        return understood(fact, GivenCommand.model_validate, what)

    def asking(self, model: ModelSpec) -> Question:
        """Write what asks for its command line."""
        question: Question = self.asks_command(**_words(self._of(model)))
        return question

    async def log(self, model_name: str, lines: int = 20, after: str = "") -> Fact[LogPart]:
        """The last lines of its newest start, or those since `after`."""
        given = next(self._of(model) for model in self._models if model.name == model_name)
        (fact,) = await self._access.ask([self.asks_log(**_words(given), lines=lines, after=after)])
        return understood(fact, LogPart.model_validate, f"the log of the {self.what} {given.name}")

    async def start(self, model: ModelSpec, _: Mark) -> Evidence:
        """Start it; raise DriverError."""
        return await self._access.act(self.starts(**_words(self._of(model))))

    async def stop(self, unit: Unit, grace: float) -> Evidence:
        """End it in its own way, KILL for what is left after `grace` seconds and some.

        Raise DriverError.
        """
        given = self.given(unit.launcher, unit.mark.model)
        grace += AGAIN_SECONDS
        return await self._access.act(
            self.stops(**_words(given), identity=unit.identity, grace=grace, kill=KILL_SECONDS)
        )

    async def _side_by_side(self, named: Sequence[Given]) -> dict[Given, Fact[_Seen]]:
        """What there is of each, which hangs or fails with those alone that it is asked with."""
        seen: dict[Given, Fact[_Seen]] = dict.fromkeys(named, Unknown(LATE))
        together: dict[Hashable, list[Given]] = {}
        for one in named:
            together.setdefault(self.asked_with(one), []).append(one)

        async def look(some: Sequence[Given]) -> None:
            with anyio.move_on_after(LOOK_SECONDS):
                seen.update(zip(some, await self._looked_at(some), strict=True))

        async with anyio.create_task_group() as group:
            for some in together.values():
                group.start_soon(look, some)
        return seen

    async def _looked_at(self, given: Sequence[Given]) -> Sequence[Fact[_Seen]]:
        """What there is of each, by one question."""
        plural = f"{self.what}s"

        def read(said: Mapping[str, JsonValue]) -> tuple[_Seen, ...]:
            return _SEEN.validate_python(said[plural])

        (fact,) = await self._access.ask([self.asks(**{plural: tuple(given)})])
        seen = understood(fact, read, f"the list of the host's {plural}")
        if isinstance(seen, Unknown):
            return [seen for _ in given]
        return [Known(one) for one in seen.value]

    def _of(self, model: ModelSpec) -> Given:
        return self.given(model.launcher, model.name)

    def _by_given(self, models: Sequence[ModelSpec]) -> dict[Given, ModelSpec]:
        """The first model of each unit."""
        first: dict[Given, ModelSpec] = {}
        for model in models:
            first.setdefault(self._of(model), model)
        return first

    def _shared(self, models: Sequence[ModelSpec]) -> str:
        """Tell that models name one unit: which of them runs cannot be told."""
        first, other, *_ = models
        both = f"{first.name} and {other.name} are both the {self.what} {self._of(first).name}"
        return f"{both}; give each its own with {self.option}: in inventory.yaml"


def _words(given: Given) -> dict[str, Any]:
    return given.model_dump()


def _unseen(model: ModelSpec, reason: str) -> UnseenUnit:
    return UnseenUnit(model=model.name, launcher=model.launcher, reason=reason)


def _unit(model: ModelSpec, running: _Running, is_wanted: bool) -> Unit:
    # Any other digest of this version says that the definition changed, and the planner starts the
    # unit again.
    is_current = is_wanted and not running.outdated
    digest = model.digest if is_current else another(model.digest)
    mark = Mark(controller="", model=model.name, digest=digest, port=model.port)
    return Unit(mark=mark, launcher=model.launcher, **running.model_dump(exclude={"outdated"}))


def another(digest: str) -> str:
    """Name, in the version of a digest, a definition that none is."""
    return f"{digest.rpartition(':')[0]}:{'0' * 16}"
