"""Two benches for the same promises: a world that is not there, and this machine's servers."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import anyio
import anyio.lowlevel

from reconciler.drivers.engines.llama.engine import LlamaEngine
from reconciler.drivers.gpus import none as no_gpu
from reconciler.drivers.power.host_power.power import Composed, PowerParts
from reconciler.embedded.weights import write_weights
from reconciler.fakes.engine import FakeEngine
from reconciler.fakes.host import FakeHost
from reconciler.fakes.life import Life
from reconciler.fakes.ports import FakeAccess, FakeGpu, FakeLauncher, FakePower
from reconciler.fakes.processes import Conversation, Nature
from reconciler.fakes.world import World
from reconciler.model.facts import Binary, Unit
from reconciler.model.reason import Reason
from reconciler.model.spec import ModelSpec
from reconciler.onhost import process
from reconciler.ports import Access, Engine, GpuReader, Launcher, ModelFiles, PowerReader
from tests import running
from tests.contracts.hosts import nowhere
from tests.engine import Server, free_port
from tests.rig import rig
from tests.sample_worlds import model

STRANGER = """
import signal, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
signal.pause()
"""


class Bench(Protocol):
    """A host with one model, whose engine has two slots, and what happens to both by itself."""

    model: ModelSpec
    access: Access
    power: PowerReader
    gpu: GpuReader
    launcher: Launcher
    engine: Engine
    files: ModelFiles

    def narrow(self) -> Bench:
        """Give the same host with a model of one slot."""
        ...

    def moved(self) -> Engine:
        """Give the engine as a definition has it that moved the model to another port."""
        ...

    async def talk(self, words: int, slot: int = 0) -> float:
        """Let a client send a conversation, and return which share of it was remembered."""
        ...

    def talking(self) -> AbstractAsyncContextManager[None]:
        """Let a client keep the first slot busy."""
        ...

    def stranger(self) -> AbstractAsyncContextManager[int]:
        """Let somebody else listen on the model's port; give the pid."""
        ...

    def crash(self, unit: Unit) -> None:
        """Let a unit die."""
        ...

    def silence(self, unit: Unit) -> None:
        """Let a unit hang: it neither answers nor ends when it is asked to."""
        ...

    def rebuild(self) -> None:
        """Let something change that saved slots depend on."""
        ...

    def damage(self) -> None:
        """Let the content of slot files change under their sidecars."""
        ...

    def lose_program(self) -> ModelSpec:
        """Give the model with a program that is not there."""
        ...


def moved(one: ModelSpec) -> ModelSpec:
    """Return a model that was given another port since."""
    return one.model_copy(update={"port": free_port(), "digest": "v1:sha256:" + "0" * 64})


class WorldBench:
    """A bench in a world."""

    def __init__(self, world: World, slots: int = 2) -> None:
        self.world = world
        self.model = model("m")
        self.host = FakeHost(world, Life())
        engine = FakeEngine(self.host, self.model)
        self.access: Access = FakeAccess(self.host)
        self.power: PowerReader = FakePower(self.host)
        self.gpu: GpuReader = FakeGpu(self.host)
        self.launcher: Launcher = FakeLauncher(self.host)
        self.engine: Engine = engine
        self.files: ModelFiles = engine
        world.natures[self.model.digest] = Nature(slots=slots)

    def narrow(self) -> Bench:
        return WorldBench(self.world, slots=1)

    def moved(self) -> Engine:
        return FakeEngine(self.host, moved(self.model))

    async def talk(self, words: int, slot: int = 0) -> float:
        return self.world.talk("m", Conversation(f"client {slot}", words)) / words

    @asynccontextmanager
    async def talking(self) -> AsyncIterator[None]:
        self.world.talk("m", Conversation("client 0", 320), seconds=60)
        yield

    @asynccontextmanager
    async def stranger(self) -> AsyncIterator[int]:
        yield self.world.stranger(self.model.port).identity.pid

    def crash(self, unit: Unit) -> None:
        self.world.crash(unit.mark.model)

    def silence(self, unit: Unit) -> None:
        (one,) = self.world.units(unit.mark.model)
        one.nature = replace(one.nature, hangs_after=0, ends_in=float("inf"))

    def rebuild(self) -> None:
        self.world.fingerprints["m"] = "another build"

    def damage(self) -> None:
        self.world.flip("m")

    def lose_program(self) -> ModelSpec:
        self.world.binaries["m"] = Binary(
            path="engine", problem=Reason("there is no program engine")
        )
        return self.model


class MachineBench:
    """A bench on this machine: its own directory, and an engine with random weights."""

    def __init__(self, directory: Path, server: Server, slots: int = 2) -> None:
        self.directory, self.server = directory, server
        self.weights = directory / "weights.gguf"
        if not self.weights.exists():
            write_weights(self.weights, seed=1)
        self._rig = rig(
            directory,
            server=server,
            weights=str(self.weights),
            parallel=slots,
            context=2048 * slots,
        )
        self.model = self._rig.model
        self.access: Access = self._rig.access
        parts = PowerParts(
            wake=(),
            stop=None,
            proof=None,
            force=None,
            canary=None,
            where=nowhere,
            asker=self.access,
        )
        self.power: PowerReader = Composed("local", self.access, parts)
        self.gpu: GpuReader = no_gpu.Driver(no_gpu.Options(), self.access)
        self.launcher: Launcher = self._rig.launcher
        self.engine: Engine = self._rig.engine
        self.files: ModelFiles = self._rig.engine

    def narrow(self) -> Bench:
        return MachineBench(self.directory, self.server, slots=1)

    def moved(self) -> Engine:
        return LlamaEngine(self._rig.engine.setup, moved(self.model), self.access, time.time)

    async def talk(self, words: int, slot: int = 0) -> float:
        timings = (await self._rig.converse(words, slot=slot))["timings"]
        share: float = timings["cache_n"] / (timings["cache_n"] + timings["prompt_n"])
        return share

    @asynccontextmanager
    async def talking(self) -> AsyncIterator[None]:
        asked = {"prompt": "ba " * 320, "n_predict": 1500, "id_slot": 0, "ignore_eos": True}
        async with anyio.create_task_group() as clients:
            clients.start_soon(
                self._rig.post, f"http://127.0.0.1:{self.model.port}/completion", asked
            )
            (unit,) = running.our_units()
            while not (await self._rig.slot(Unit.model_validate(unit))).busy:
                await anyio.lowlevel.checkpoint()
            yield
            clients.cancel_scope.cancel()

    @asynccontextmanager
    async def stranger(self) -> AsyncIterator[int]:
        argv = [*running.PYTHON, STRANGER, str(self.model.port)]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as other:  # noqa: ASYNC220 - waits for one line
            try:
                assert other.stdout is not None
                assert other.stdout.readline() == b"ready\n"
                yield other.pid
            finally:
                other.kill()

    def crash(self, unit: Unit) -> None:
        os.kill(unit.identity.pid, signal.SIGKILL)
        os.waitid(os.P_PID, unit.identity.pid, os.WEXITED | os.WNOWAIT)
        process.reap()

    def silence(self, unit: Unit) -> None:
        os.kill(unit.identity.pid, signal.SIGSTOP)
        os.waitid(
            os.P_PID, unit.identity.pid, os.WSTOPPED | os.WNOWAIT
        )  # until the last of its threads has stopped

    def rebuild(self) -> None:
        write_weights(self.weights, seed=2)

    def damage(self) -> None:
        for file in self._rig.slots.glob("*.kv"):
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)

    def lose_program(self) -> ModelSpec:
        command = self.model.command.model_copy(update={"argv": ("no-such-engine",)})
        return self.model.model_copy(update={"command": command})


def bench_of(server: Server | None, world: World, directory: Path) -> Bench:
    """Build a bench: this machine with a server, or a world."""
    return MachineBench(directory, server) if server else WorldBench(world)


def contains(whole: Sequence[str], part: Sequence[str]) -> bool:
    """Whether a log has these lines in one piece; a busy engine may have written more since."""
    assert part, "it has no line"
    return any(tuple(whole[at : at + len(part)]) == tuple(part) for at in range(len(whole)))
