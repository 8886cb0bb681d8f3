"""The launchers that tests use: of processes, or of services of a systemd booted for them."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from reconciler.drivers.launchers import compose, docker, lxc, pct, process, systemd
from reconciler.edge.interpreter import Interpreter
from reconciler.model.facts import Known, Unit, UnitIdentity
from reconciler.model.spec import Capabilities, Command, Kind, ModelSpec
from reconciler.onhost import bundle
from tests import running
from tests.composed import PROJECT, Project
from tests.contracts.hosts import here, reached
from tests.dockers import IMAGE, PROGRAMS
from tests.lxcs import UNITS
from tests.rig import units_of
from tests.sample_worlds import marked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from reconciler.ports import Access, Evidence, Launcher
    from tests.booted import Booted
    from tests.dockers import Dockerd
    from tests.lxcs import Lxc

CONTROLLER = running.mark("")["controller"]
INTERPRETER = str(Path(sys.executable).resolve())


SCOPES = ("system", "user")
OWNED = {f"owned by the {scope}": scope for scope in SCOPES}
DOCKER = {
    "docker": ("thread", "docker"),
    "docker over ssh": ("ssh", "docker"),
    "podman": ("thread", "podman"),
}
"""Containers that exist, with the access and the engine."""

OWNED_CONTAINERS = {
    "docker owned": ("thread", "docker"),
    "docker owned over ssh": ("ssh", "docker"),
    "podman owned": ("thread", "podman"),
}
"""Containers of our own, likewise."""

LXC = ("lxc", "pct")
INNER = "service in lxc"

OBEDIENT = "import os, signal; signal.signal(signal.SIGTERM, lambda *_: os._exit(0))\n"


def model(*argv: str, name: str = "gemma3") -> ModelSpec:
    return ModelSpec(
        name=name, engine=Kind(kind="llamacpp"), launcher=Kind(kind="process"), port=8080,
        task="chat", conversations="keep", stable_for=10.0, vram_bytes=None, serves=None,
        digest="v1:sha256:00000000",
        command=Command(argv=argv, env={"OWN": "1"}, folders=("slots",)),
        capabilities=Capabilities(),
    )  # fmt: skip


def program(text: str) -> ModelSpec:
    return model(*running.PYTHON, text)


def held(wanted: ModelSpec, identity: UnitIdentity) -> Unit:
    return Unit(
        identity=identity,
        mark=marked(wanted, CONTROLLER),
        members=(),
        uptime=0.0,
        launcher=wanted.launcher,
    )


class Place:
    """A launcher on a host, with how a program becomes a model there."""

    controller = CONTROLLER

    def __init__(self, launcher: Launcher, access: Access) -> None:
        self.launcher = launcher
        self.access = access
        self.wanted = program("")

    def model(self, text: str) -> ModelSpec:
        return program(text)

    async def ours(self) -> list[Unit]:
        seen = units_of(await self.launcher.units())
        return [unit for unit in seen if unit.mark.controller == self.controller]

    async def stop(self, identity: UnitIdentity, grace: float) -> Evidence:
        return await self.launcher.stop(held(self.wanted, identity), grace)

    async def said(self, word: str = "ready") -> str:
        """The first line that begins with a word, once the model's program has written it."""
        with anyio.fail_after(running.DEADLINE):
            while True:
                fact = await self.launcher.log("gemma3")
                assert isinstance(fact, Known)
                for line in fact.value.lines:
                    if line.startswith(word):
                        return line
                await anyio.sleep(0.01)

    async def started(self, text: str) -> UnitIdentity:
        evidence = await self.launcher.start(
            self.model(text), marked(self.model(text), self.controller)
        )
        await self.said()
        return UnitIdentity.model_validate(evidence["identity"])


class ServicePlace(Place):
    """The launcher of services on a host that was booted for the tests."""

    controller = ""

    def __init__(self, access: Access, booted: Booted, scope: str) -> None:
        kind = Kind(kind="systemd", options={"scope": scope})
        self._model = program("").model_copy(update={"launcher": kind})
        self._units = "/run/user/0/systemd/user" if scope == "user" else "/run/systemd/system"
        self._systemctl = ("env", "XDG_RUNTIME_DIR=/run/user/0", "systemctl", f"--{scope}")
        self.booted = booted
        self.launcher: systemd.Driver
        super().__init__(systemd.Driver(access, [self._model]), access)
        self.wanted = self._model

    def model(self, text: str) -> ModelSpec:
        self.booted.write("/run/programs/gemma3.py", text)
        self.define(f"ExecStart={INTERPRETER} -I -S -u /run/programs/gemma3.py")
        return self._model

    def define(self, *lines: str, name: str = "gemma3.service") -> None:
        self.booted.write(f"{self._units}/{name}", "\n".join(["[Service]", *lines, ""]))
        self.systemctl("daemon-reload")

    def systemctl(self, *words: str) -> str:
        return self.booted.run(*self._systemctl, *words)


class OwnedServicePlace(Place):
    """The launcher of services that it makes, on a host that was booted for the tests."""

    def __init__(self, access: Access, booted: Booted, scope: str) -> None:
        options = systemd.Options.model_validate({"owned": True, "scope": scope})
        self._kind = Kind(kind="systemd", options=options.model_dump())
        self._systemctl = ("env", "XDG_RUNTIME_DIR=/run/user/0", "systemctl", f"--{scope}")
        self.booted = booted
        super().__init__(systemd.Driver(access, [self.model("")]), access)
        self.wanted = self.model("")

    def model(self, text: str) -> ModelSpec:
        return program(text).model_copy(update={"launcher": self._kind})

    def systemctl(self, *words: str) -> str:
        return self.booted.run(*self._systemctl, *words)


class ContainerPlace(Place):
    """The launcher of containers beside a dockerd that runs for the tests."""

    controller = ""

    def __init__(self, access: Access, dockerd: Dockerd, folder: Path) -> None:
        kind = Kind(kind="docker", options={"socket": dockerd.socket})
        self.dockerd = dockerd
        self._folder = folder
        self._model = program("").model_copy(update={"launcher": kind})
        super().__init__(docker.Driver(access, [self._model]), access)
        self.wanted = self._model

    def model(self, text: str) -> ModelSpec:
        # The first process of a container is ended by no signal that it does not handle.
        self.define([*running.PYTHON, OBEDIENT + text])
        return self._model

    def define(self, argv: Sequence[str], **settings: Any) -> None:
        self.dockerd.create("gemma3", argv, self._folder, **settings)


class LxcPlace(Place):
    """The launcher of LXC's containers on a host that was booted for the tests."""

    controller = ""

    def __init__(self, access: Access, lxc_: Lxc, folder: Path) -> None:
        self.lxc = lxc_
        self.folder = folder
        self.name = lxc_.name("gemma3")
        self._model = program("").model_copy(update={"launcher": lxc_.launcher("gemma3")})
        driver = pct.Driver if lxc_.kind == "pct" else lxc.Driver
        super().__init__(driver(access, [self._model]), access)
        self.wanted = self._model

    def model(self, text: str) -> ModelSpec:
        # The first process of a container is ended by no signal that it does not handle.
        self.define([*running.PYTHON, OBEDIENT + text])
        return self._model

    def define(self, argv: Sequence[str], **settings: str) -> None:
        init = self.lxc.speak(self.name, argv)
        self.lxc.create(self.name, init, self.folder, **settings)


class OwnedContainerPlace(Place):
    """The launcher of containers of our own."""

    def __init__(self, access: Access, dockerd: Dockerd, **options: Any) -> None:
        self.dockerd = dockerd
        self.options = {"image": IMAGE, "volumes": PROGRAMS, "socket": dockerd.socket, **options}
        super().__init__(docker.Driver(access, [self.model("")]), access)
        self.wanted = self.model("")

    def model(self, text: str) -> ModelSpec:
        return self.running(*running.PYTHON, OBEDIENT + text)

    def running(self, *argv: str, **options: Any) -> ModelSpec:
        """Define a model that runs a program, with further options of its launcher."""
        kind = Kind(kind="docker", options={**self.options, **options})
        return model(*argv).model_copy(update={"launcher": kind})


@asynccontextmanager
async def owned_containers(
    way: str, dockerd: Dockerd, directory: Path, **options: Any
) -> AsyncIterator[OwnedContainerPlace]:
    async with reached(way, directory) as access:
        yield OwnedContainerPlace(access, dockerd, **options)
        dockerd.remove("reconciler-gemma3")


class ComposePlace(Place):
    """The launcher of compose services beside a dockerd that runs for the tests."""

    controller = ""

    def __init__(self, access: Access, project: Project) -> None:
        options = {"project": PROJECT, "file": str(project.file), "socket": project.dockerd.socket}
        whole = compose.Options.model_validate(options).model_dump()
        self.project = project
        kind = Kind(kind="compose", options=whole)
        self._model = program("").model_copy(update={"launcher": kind})
        super().__init__(compose.Driver(access, [self._model]), access)
        self.wanted = self._model

    def model(self, text: str) -> ModelSpec:
        self.project.define([*running.PYTHON, OBEDIENT + text])
        return self._model


@asynccontextmanager
async def composed(way: str, dockerd: Dockerd, directory: Path) -> AsyncIterator[ComposePlace]:
    project = Project(dockerd, directory, "gemma3")
    async with reached(way, directory) as access:
        try:
            yield ComposePlace(access, project)
        finally:
            project.remove()


class InnerPlace(Place):
    """The launcher of services in a container of LXC that boots a systemd."""

    controller = ""

    def __init__(self, access: Access, lxc_: Lxc) -> None:
        self.lxc = lxc_
        self.name = lxc_.name("inner")
        kind = lxc_.launcher("inner")
        options = {**kind.options, "service": "gemma3.service"}
        kind = kind.model_copy(update={"options": options})
        self._model = program("").model_copy(update={"launcher": kind})
        super().__init__(lxc.Driver(access, [self._model]), access)
        self.wanted = self._model

    def model(self, text: str) -> ModelSpec:
        self.lxc.booted.write(f"{UNITS}/gemma3.py", text)
        self.define(f"ExecStart={INTERPRETER} -I -S -u /units/gemma3.py")
        return self._model

    def define(self, *lines: str) -> None:
        self.lxc.booted.write(f"{UNITS}/gemma3.service", "\n".join(["[Service]", *lines, ""]))
        if self.lxc.pid(self.name):
            self.systemctl("daemon-reload")

    def systemctl(self, *words: str) -> str:
        return self.lxc.booted.run("lxc-attach", "-n", self.name, "--", "systemctl", *words)


@asynccontextmanager
async def processes(way: str, directory: Path) -> AsyncIterator[Place]:
    async with reached(way, directory) as access:
        yield Place(process.Driver(access), access)


@asynccontextmanager
async def containers(way: str, dockerd: Dockerd, directory: Path) -> AsyncIterator[ContainerPlace]:
    async with reached(way, directory) as access:
        yield ContainerPlace(access, dockerd, directory)
        dockerd.remove("gemma3")


@asynccontextmanager
async def lxc_containers(made: Lxc, directory: Path) -> AsyncIterator[LxcPlace]:
    async with inside(made.booted, directory) as access:
        place = LxcPlace(access, made, directory)
        yield place
        made.remove(place.name)


@asynccontextmanager
async def inner_services(made: Lxc, directory: Path) -> AsyncIterator[InnerPlace]:
    async with inside(made.booted, directory) as access:
        place = InnerPlace(access, made)
        made.create_booting(place.name, directory)
        yield place
        made.remove(place.name)
        made.booted.path(f"{UNITS}/gemma3.service").unlink(missing_ok=True)


@asynccontextmanager
async def inside(booted: Booted, directory: Path) -> AsyncIterator[Access]:
    """Reach a host that was booted for the tests."""
    argv = [*booted.entering, sys.executable, "-I", "-S", "-c", bundle.BOOTSTRAP]
    async with Interpreter(argv, bundle.framed(str(directory)), bundle.HELLO) as interpreter:
        yield here(directory, interpreter.exchange)


@asynccontextmanager
async def owned_services(
    scope: str, booted: Booted, directory: Path
) -> AsyncIterator[OwnedServicePlace]:
    async with inside(booted, directory) as access:
        place = OwnedServicePlace(access, booted, scope)
        try:
            yield place
        finally:
            for unit in await place.ours():
                await place.launcher.stop(unit, 5)


@asynccontextmanager
async def services(scope: str, booted: Booted, directory: Path) -> AsyncIterator[ServicePlace]:
    async with inside(booted, directory) as access:
        place = ServicePlace(access, booted, scope)
        yield place
        booted.path(f"{place._units}/gemma3.service").unlink(missing_ok=True)
        place.systemctl("daemon-reload")
        # One that failed is known by its name, and has a log, until then.
        place.systemctl("reset-failed")


@asynccontextmanager
async def placed(name: str, fixture: Callable[[str], Any], directory: Path) -> AsyncIterator[Place]:
    """Lay out the launcher of this name; `fixture` gives what runs for all tests."""
    if name in SCOPES:
        made: AbstractAsyncContextManager[Place] = services(name, fixture("booted"), directory)
    elif name in OWNED:
        made = owned_services(OWNED[name], fixture("booted"), directory)
    elif name == "compose":
        made = composed("thread", fixture("docker"), directory)
    elif name in DOCKER:
        way, engine = DOCKER[name]
        made = containers(way, fixture(engine), directory)
    elif name == INNER:
        made = inner_services(fixture("lxc"), directory)
    elif name in LXC:
        made = lxc_containers(fixture(name), directory)
    elif name in OWNED_CONTAINERS:
        way, engine = OWNED_CONTAINERS[name]
        made = owned_containers(way, fixture(engine), directory)
    else:
        made = processes(name, directory)
    async with made as place:
        yield place
