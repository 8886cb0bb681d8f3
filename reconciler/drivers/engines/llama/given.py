"""Engine and shelf ports of an engine whose command line is an operator's.

What it is asked is as the inventory claims it to be; what it keeps is as its command line says,
which is read for each look: an operator may change it at any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from reconciler.drivers.engines.llama.engine import LlamaEngine
from reconciler.drivers.engines.llama.given_setup import given_setup, is_reached, lacks
from reconciler.errors import DriverError
from reconciler.model.facts import Fact, Fingerprint, Known, Saved, Unknown, Weights
from reconciler.model.onhost.files import AskInsideFile, AskPlace

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from reconciler.drivers.engines.llama.given_setup import Code, GivenSetup
    from reconciler.drivers.engines.llama.launch_config import Setup
    from reconciler.model.facts import Activity, Answer, Health, Unit
    from reconciler.model.given_command import GivenCommand
    from reconciler.model.spec import ModelSpec
    from reconciler.ports import Access, Json

    ReadCommand: TypeAlias = Callable[[ModelSpec], Awaitable[Fact[GivenCommand]]]


_MAKE = "make that folder, writable for it and for reconciler"


class _Real(NamedTuple):
    """An engine as its command line makes it."""

    engine: LlamaEngine
    given: GivenSetup
    command: GivenCommand


class GivenEngine:
    """One model's engine, and what the model keeps, by a command line that is not ours."""

    def __init__(
        self, setup: Setup, code: Code, model: ModelSpec, access: Access, read: ReadCommand,
        wall: Callable[[], float],
    ) -> None:  # fmt: skip
        """Use the host behind `access`, and `read` for the command line of the model's unit."""
        self._claimed = LlamaEngine(setup, model, access, wall)
        self._code, self._model, self._access = code, model, access
        self._read, self._wall = read, wall

    @property
    def bearer(self) -> str:
        """The key of this model, "" where it has none or that cannot be read now."""
        return self._claimed.bearer

    def dial(self, port: int) -> AbstractAsyncContextManager[str]:
        """Open a way to a port of the engine, as an `http://address:port` on this machine."""
        return self._claimed.dial(port)

    async def health(self, unit: Unit) -> Fact[Health]:
        """Look how far the engine is, and whether it is what the inventory claims."""
        return await self._claimed.health(unit)

    async def activity(self, unit: Unit) -> Fact[Activity]:
        """Look at slots and waiting requests."""
        return await self._claimed.activity(unit)

    async def answer(self, unit: Unit) -> Fact[Answer]:
        """Look whether the engine does its task."""
        real = await self._real()
        return real if isinstance(real, Unknown) else await real.value.engine.answer(unit)

    async def save(self, unit: Unit, activity: Activity, keep: tuple[str, ...] = ()) -> Json:
        """Save every slot that holds a conversation; raise DriverError when none can be."""
        return await (await self._known()).engine.save(unit, activity, keep)

    async def restore(self, unit: Unit, saved: Saved) -> Json:
        """Put saved slots back and prove them; raise DriverError."""
        return await (await self._known()).engine.restore(unit, saved)

    async def saved(self) -> Fact[Saved]:
        """Look at the newest saved slots."""
        real = await self._real()
        return real if isinstance(real, Unknown) else await real.value.engine.saved()

    async def fingerprint(self) -> Fact[Fingerprint]:
        """Look at all that a saved slot depends on."""
        real = await self._real()
        if isinstance(real, Unknown):
            return real
        if _is_hidden(real.value):
            return Known(Fingerprint(digest=""))
        return await real.value.engine.fingerprint()

    async def weights(self) -> Fact[Weights]:
        """Look at the weights that the command line names, and whether it keeps conversations."""
        command = await self._read(self._model)
        if isinstance(command, Known) and command.value.absent:
            path = self._claimed.setup.weights
            return Known(Weights(path=path, exists=False, written_on_start=True))
        real = self._made(command)
        if isinstance(real, Unknown):
            return real
        fact = await self._weights(real.value)
        if isinstance(fact, Unknown):
            return fact
        others = await self._others(real.value.given.setup)
        told = [fact.value.problem, others, real.value.given.unreachable]
        return Known(fact.value.model_copy(update={"problem": "; ".join(filter(None, told))}))

    async def _weights(self, real: _Real) -> Fact[Weights]:
        if _is_hidden(real):
            return Known(await self._hidden(real))
        fact = await real.engine.weights()
        if isinstance(fact, Unknown) or not fact.value.exists or not _may_keep(fact.value):
            return fact
        unkept, remedy = await self._obstacle(real, fact.value)
        return Known(_without(fact.value, unkept, remedy) if unkept else fact.value)

    async def _hidden(self, real: _Real) -> Weights:
        """Tell of weights that the host does not have; a container that stopped may lack them."""
        weights = _unseen(real)
        if not weights.path or real.command.pid:
            return weights
        (answer,) = await self._access.ask([AskInsideFile(file=weights.path)])
        if isinstance(answer, Unknown) or not answer.value["lacks"]:
            return weights
        problem = (
            f"{weights.path} is neither in the container nor mounted from the host; mount its"
            " folder, or correct the command line"
        )
        return weights.model_copy(update={"problem": problem})

    async def _others(self, setup: Setup) -> str:
        """Tell that the inventory certainly names other weights than the command line, else ""."""
        if not await self._claimed.names_another(setup.weights):
            return ""
        return (
            f"inventory.yaml says `weights: {self._claimed.setup.weights}`, and its command line"
            f" loads {setup.weights}: correct one of them"
        )

    async def _obstacle(self, real: _Real, weights: Weights) -> tuple[str, str]:
        if real.given.unkept:
            return real.given.unkept, real.given.remedy
        if not weights.keepable:
            return lacks(real.command, ["--swa-full"])
        folder = real.given.setup.slots_on(self._model)
        pid = real.command.pid
        question = AskPlace(path=folder, folder=True, written=True, pid=pid)
        (answer,) = await self._access.ask([question])
        told = {"problem": answer.reason} if isinstance(answer, Unknown) else answer.value
        problem, fix = str(told["problem"]), str(told.get("fix") or _MAKE)
        return problem, fix if problem else ""

    async def _known(self) -> _Real:
        real = await self._real()
        if isinstance(real, Unknown):
            raise DriverError(real.reason)
        return real.value

    async def _real(self) -> Fact[_Real]:
        return self._made(await self._read(self._model))

    def _made(self, command: Fact[GivenCommand]) -> Fact[_Real]:
        """Make the engine of a command line; without a unit it is not known."""
        if isinstance(command, Unknown):
            return command
        if command.value.absent:
            return Unknown(command.value.problem)
        port = _port(self._model, command.value)
        given = given_setup(command.value, self._claimed.setup, self._code, port)
        engine = LlamaEngine(given.setup, self._model, self._access, self._wall)
        return Known(_Real(engine, given, command.value))


def _port(model: ModelSpec, command: GivenCommand) -> int | None:
    """Return the port that an engine has to listen on itself, None where one of its host leads."""
    is_published = command.apart and model.door == model.port
    return None if is_published else model.port


def _is_hidden(real: _Real) -> bool:
    """Whether the host does not have the weights, or does not know which they are."""
    weights = real.given.setup.weights
    return not weights or not is_reached(weights, real.command)


def _unseen(real: _Real) -> Weights:
    """Tell of weights that are an image's, or are not known: only a start shows them."""
    path = real.given.setup.weights
    weights = Weights(path=path, exists=False, written_on_start=True)
    if real.given.unkept:
        return _without(weights, real.given.unkept, real.given.remedy)
    if not path:
        return _without(weights, "its command line names no weights", "name them with `weights:`")
    why = f"{path} lies inside the container"
    return _without(weights, why, "mount its folder from the host")


def _may_keep(weights: Weights) -> bool:
    return weights.keepable or bool(weights.remedy)


def _without(weights: Weights, unkept: str, remedy: str) -> Weights:
    return weights.model_copy(update={"keepable": False, "unkept": unkept, "remedy": remedy})
