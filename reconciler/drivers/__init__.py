"""The catalog: which drivers there are, by role and kind.

One file is one kind, and its name is the `kind:` in YAML.

Made by app, which gives each host the ports that the catalog builds for it.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from reconciler.drivers.access.shared.place import HostPlace
from reconciler.drivers.access.shared.within import Within
from reconciler.drivers.power.host_power.deps import Reach
from reconciler.drivers.power.host_power.paced import Paced
from reconciler.drivers.power.host_power.power import Composed, PowerParts, Waker
from reconciler.drivers.power.host_power.refusals import Refusals
from reconciler.edge.loop_scope import LoopScope
from reconciler.model.spec import Kind
from reconciler.ports import HostPorts, ModelPorts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from types import ModuleType

    from pydantic import BaseModel, JsonValue

    from reconciler.model.machine import ImportedFlags, Server
    from reconciler.model.place import Inside
    from reconciler.model.spec import Capabilities, Command, HostSpec, ModelSpec, PowerDriver, Via
    from reconciler.ports import Access, Clock, GpuReader, Launcher, PowerControl

FOLDERS = {
    "access": "access",
    "power": "power",
    "gpu": "gpus",
    "launcher": "launchers",
    "engine": "engines",
}


class DriverCatalog:
    """The drivers by role and kind.

    `host_directory` is where this machine keeps what belongs to it as a host. Connections to hosts
    live in `loop`, which has to be entered in an event loop first.
    """

    def __init__(self, host_directory: str, clock: Clock) -> None:
        self._host_directory = host_directory
        self._clock = clock
        self._refusals = Refusals(clock)
        self.loop = LoopScope()

    def kinds(self, role: str) -> tuple[str, ...]:
        """List the kinds of a role."""
        return _kinds(role)

    def options(self, role: str, kind: str) -> type[BaseModel]:
        """Look up the model that a kind's options must fit; raise KeyError."""
        options: type[BaseModel] = self._module(role, kind).Options
        return options

    def capabilities(self, role: str, kind: Kind) -> Capabilities:
        """Look up what the planner must know of a driver."""
        module = self._module(role, kind.kind)
        # What some drivers can do depends on their options.
        by_options = getattr(module, "capabilities", None)
        options = module.Options.model_validate(kind.options) if by_options else None
        capabilities: Capabilities = by_options(options) if by_options else module.CAPABILITIES
        return capabilities

    def command(
        self, kind: str, options: BaseModel, model_name: str, port: int, gpus: Sequence[int]
    ) -> Command:
        """Make the command that starts an engine of this kind."""
        command: Command = self._module("engine", kind).command(options, model_name, port, gpus)
        return command

    def needed(self, engine: str) -> tuple[str, ...]:
        """List the options without which no command line of this kind of engine can be made."""
        needed: tuple[str, ...] = getattr(self._module("engine", engine), "NEEDED", ())
        return needed

    def inside(self, launcher: Kind, model_name: str) -> Inside | None:
        """Name the container whose paths a model's command line has, None for the host."""
        module = self._module("launcher", launcher.kind)
        named = getattr(module, "inside", None)
        options = module.Options.model_validate(launcher.options) if named else None
        inside: Inside | None = named(options, model_name) if named else None
        return inside

    def as_flags(self, variables: Mapping[str, str]) -> tuple[str, ...]:
        """Write variables of llama-server as its flags. Pure."""
        found: tuple[str, ...] = self._module("engine", "llamacpp").as_flags(variables)
        return found

    def launched(self, launcher: Kind) -> JsonValue:
        """List what identifies a unit beside its command line, None for nothing."""
        module = self._module("launcher", launcher.kind)
        named = getattr(module, "launched", None)
        found: JsonValue = named(module.Options.model_validate(launcher.options)) if named else None
        return found

    def adopted(self, server: Server) -> ImportedFlags:
        """Translate the flags of a running llama-server into keys of a model. Pure."""
        found: ImportedFlags = self._module("engine", "llamacpp").adopted(server)
        return found

    def hosts(self, host: HostSpec, models: Sequence[ModelSpec]) -> HostPorts:
        """Make the ports of one host."""
        place = HostPlace(host.name, self._host_directory, self.loop, host.via)
        reached = self._driver("access", host.access, place)
        access: Access = reached
        power: PowerControl = self._power(host, access, reached.where)
        gpu: GpuReader = self._driver("gpu", host.gpu, access)
        launchers = self._launchers(access, models)
        ports = {model.name: self._model(model, access, launchers) for model in models}
        return HostPorts(access, power, gpu, launchers, ports)

    def _launchers(self, access: Access, models: Sequence[ModelSpec]) -> dict[str, Launcher]:
        def of_kind(kind: str) -> Launcher:
            mine = [model for model in models if model.launcher.kind == kind]
            launcher: Launcher = self._module("launcher", kind).Driver(access, mine)
            return launcher

        # A kind that no model names any more may still hold units of ours.
        return {kind: of_kind(kind) for kind in self.kinds("launcher")}

    def _power(
        self, host: HostSpec, access: Access, where: Callable[[], Awaitable[str]]
    ) -> Composed:
        here = self._reach(Kind(kind="local"), "")

        def made(one: PowerDriver | None) -> Any:  # noqa: ANN401 - the kind decides what it can do
            if one is None:
                return None
            reach = Reach(host.name, access, self._via(one.via, here), self._refusals, self.loop)
            return self._driver("power", one.driver, reach)

        def witness(one: PowerDriver | None) -> Paced | None:
            if one is None:
                return None
            return Paced(made(one), self._module("power", one.driver.kind).PACE_SECONDS)

        power = host.power
        relays = (one.via for one in power.wake if one.via is not None)
        parts = PowerParts(
            wake=tuple(Waker(one.driver.kind, made(one)) for one in power.wake),
            stop=made(power.stop),
            proof=witness(power.proof),
            force=made(power.force),
            canary=power.canary,
            where=where,
            asker=self._via(next(relays, None), here),
        )
        return Composed(host.name, access, parts)

    def _via(self, via: Via | None, here: Access) -> Access:
        """Choose the machine that works in the controller's place, or else the controller's own."""
        return here if via is None else self._reach(via.access, via.host)

    def _reach(self, kind: Kind, name: str) -> Access:
        place = HostPlace(name, self._host_directory, self.loop)
        access: Access = self._driver("access", kind, place)
        return access

    def _model(
        self, model: ModelSpec, access: Access, launchers: dict[str, Launcher]
    ) -> ModelPorts:
        launcher: Any = launchers[model.launcher.kind]
        module = self._module("engine", model.engine.kind)
        options, wall = module.Options.model_validate(model.engine.options), self._clock.wall
        reached = Within(access, model.inside) if model.inside else access
        if self.capabilities("launcher", model.launcher).owns:
            engine = module.Driver(options, model, reached, wall)
        else:
            engine = module.given(options, model, reached, launcher.command, wall)
        return ModelPorts(launcher=launcher, engine=engine, files=engine)

    # The kind decides which port it is.
    def _driver(self, role: str, kind: Kind, *rest: object) -> Any:  # noqa: ANN401
        module = self._module(role, kind.kind)
        return module.Driver(module.Options.model_validate(kind.options), *rest)

    def _module(self, role: str, kind: str) -> ModuleType:
        if kind not in _kinds(role):
            raise KeyError(kind)
        return import_module(f"reconciler.drivers.{FOLDERS[role]}.{kind}")


@cache
def _kinds(role: str) -> tuple[str, ...]:
    folder = str(Path(__file__).parent / FOLDERS[role])
    return tuple(sorted(module.name for module in iter_modules([folder]) if not module.ispkg))
