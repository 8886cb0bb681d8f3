"""One model on this machine: its driver over local access, started as a launcher does."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio

from reconciler.drivers.engines import embedded, llamacpp
from reconciler.drivers.launchers import process
from reconciler.edge.http import HttpClient
from reconciler.model.facts import Known, Saved, Unit, UnitIdentity
from reconciler.model.held_unit import UnseenUnit
from reconciler.model.onhost.processes import AskUnits
from reconciler.model.spec import Capabilities, Kind, ModelSpec
from tests import running
from tests.contracts.hosts import here
from tests.engine import EMBEDDED, Server, free_port, weights_in
from tests.sample_worlds import marked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from reconciler.drivers.engines.llama.engine import LlamaEngine
    from reconciler.model.facts import Activity, Answer, Fact, Health, Slot
    from reconciler.model.held_unit import HeldUnit
    from reconciler.model.spec import Command, Task
    from reconciler.ports import Access, Launcher

DIGEST = "v1:sha256:" + "0" * 16
HEALTHY_WITHIN = 60.0


def spec(command: Command, port: int, *, task: Task = "completion") -> ModelSpec:
    """Define a model around a command line."""
    return ModelSpec(
        name="m",
        engine=Kind(kind="embedded"),
        launcher=Kind(kind="process"),
        port=port,
        task=task,
        conversations="keep",
        stable_for=0,
        vram_bytes=None,
        serves=None,
        command=command,
        digest=DIGEST,
        capabilities=Capabilities(),
    )


def value(fact: Fact[Any]) -> Any:
    """Give what is known; fails with the reason when it is not."""
    assert isinstance(fact, Known), fact
    return fact.value


def units_of(fact: Fact[tuple[HeldUnit, ...]]) -> tuple[Unit, ...]:
    """Give the units that a launcher told; fails where it could not see one."""
    held: tuple[HeldUnit, ...] = value(fact)
    unseen = [one for one in held if isinstance(one, UnseenUnit)]
    assert not unseen
    return tuple(one for one in held if isinstance(one, Unit))


@dataclass(frozen=True)
class Rig:
    """A model that can be started again and again in one host directory."""

    model: ModelSpec
    access: Access
    launcher: Launcher
    engine: LlamaEngine
    directory: Path

    @property
    def slots(self) -> Path:
        """Give the slot directory."""
        return self.directory / self.model.directory / "slots"

    @property
    def log(self) -> str:
        """Read what the engine wrote."""
        path = self.directory / self.model.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def start(self) -> Unit:
        """Start the engine, without waiting; its definition says where it listens, and may lie."""
        mark = marked(self.model, running.mark("")["controller"]).model_copy(update={"port": None})
        started = await self.launcher.start(self.model, mark)
        return await self.look(UnitIdentity.model_validate(started["identity"]))

    async def look(self, identity: UnitIdentity) -> Unit:
        """Observe a unit again."""
        (fact,) = await self.access.ask([AskUnits(pids=(identity.pid,))])
        units = value(fact)["units"]
        assert units, f"gone:\n{self.log}"
        return Unit.model_validate(units[0])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Unit]:
        """Run the engine, ready on entry and gone on exit."""
        unit = await self.start()
        try:
            await self.ready(unit)
            yield unit
        finally:
            with anyio.CancelScope(shield=True):
                await self.stop(unit)

    async def ready(self, unit: Unit) -> Health:
        """Wait until the engine says that it is ready."""
        deadline = time.monotonic() + HEALTHY_WITHIN
        while True:
            health: Health = value(await self.engine.health(await self.look(unit.identity)))
            if health.phase in {"ready", "sleeping"}:
                return health
            assert health.phase == "loading", f"{health}\n{self.log}"
            assert time.monotonic() < deadline, f"{health}\n{self.log}"
            await anyio.sleep(0.005)

    async def stop(self, unit: Unit) -> None:
        """End the engine and its group."""
        await self.launcher.stop(unit, grace=2)

    async def slot(self, unit: Unit, number: int = 0) -> Slot:
        """Look at a slot."""
        activity: Activity = value(await self.engine.activity(unit))
        return activity.slots[number]

    async def save(self, unit: Unit) -> Any:
        """Save what the slots hold now."""
        evidence: Any = await self.engine.save(unit, value(await self.engine.activity(unit)))
        return evidence

    async def restore(self, unit: Unit) -> Any:
        """Restore what is saved now."""
        evidence: Any = await self.engine.restore(unit, value(await self.engine.saved()))
        return evidence

    async def converse(
        self, words: int = 300, tokens: int = 8, slot: int = 0, **options: Any
    ) -> Any:
        """Let a client say something, and read the answer."""
        asked = {
            "prompt": "ba " * words,
            "n_predict": tokens,
            "id_slot": slot,
            "temperature": 0,
            **options,
        }
        return await self.post(f"http://127.0.0.1:{self.model.port}/completion", asked)

    async def post(self, url: str, content: Any) -> Any:
        """Send a request as a client would."""
        reply = await HttpClient().post(url, content, HEALTHY_WITHIN)
        assert reply.status == 200, reply
        return reply.json()

    async def answer(self, unit: Unit) -> Answer:
        """Ask for a real answer."""
        answered: Answer = value(await self.engine.answer(unit))
        return answered


Define: TypeAlias = Callable[..., Rig]
"""Defines a model as `rig` does, with all that is the same in one test left out."""


def rig(
    directory: Path,
    way: Access | None = None,
    *,
    server: Server = EMBEDDED,
    task: Task = "completion",
    **options: Any,
) -> Rig:
    """Define a model of random weights, or of the file `weights`."""
    port, access = free_port(), way or here(directory)
    if server.binary:
        given = {"weights": str(weights_in(directory)), "context": 4096, **options}
        real = llamacpp.Options(binary=server.binary, **given)
        model = spec(llamacpp.command(real, "m", port), port, task=task)
        engine: LlamaEngine = llamacpp.Driver(real, model, access, time.time)
    else:
        chosen = embedded.Options(**{"seed": None if "weights" in options else 1, **options})
        model = spec(embedded.command(chosen, "m", port), port, task=task)
        engine = embedded.Driver(chosen, model, access, time.time)
    return Rig(model, access, process.Driver(access), engine, directory)


async def saved_by(model: Rig) -> Saved:
    """Have a conversation and save it."""
    async with model.running() as unit:
        await model.converse()
        assert (await model.save(unit))["failed"] == []
    found: Saved = value(await model.engine.saved())
    assert len(found.slots) == 1
    return found
