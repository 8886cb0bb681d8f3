"""Definitions: what drivers make of an inventory, and everything they object to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, JsonValue, ValidationError

from reconciler.config.power_roles import Powering
from reconciler.config.resolve import Definition, Definitions
from reconciler.config.typed_text import validated
from reconciler.config.validation_messages import problems_of
from reconciler.config.via import jump
from reconciler.model.problem import KeyPath, Problem, found, nearest, one_of
from reconciler.model.spec import Capabilities, HostSpec, Kind, Via

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reconciler.model.inventory import Host, Inventory, Model
    from reconciler.ports import OptionsCatalog

_PLANNED = {
    "docker",
    "podman",
    "lxc",
    "vllm",
    "sglang",
    "ollama",
}


CARDS = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
"""Variables that `gpus` of a model sets."""


def define(
    inventory: Inventory, catalog: OptionsCatalog, typed: Callable[[KeyPath], str | None]
) -> tuple[Definitions, list[Problem]]:
    """Return the definitions of all hosts and models whose drivers accept them, and a problem for everything else.

    `typed` knows what was typed at a path of the inventory, where it means a number or true or
    false.
    """
    drivers = _Drivers(catalog, typed)
    accesses = {
        name: access
        for name, host in inventory.hosts.items()
        if (access := drivers.accepted("access", host.access, ("hosts", name, "access")))
    }
    powering = Powering(drivers, accesses)
    ways = {name: drivers.way(name, access, accesses) for name, access in accesses.items()}
    hosts = {
        name: spec
        for name, host in inventory.hosts.items()
        if (spec := drivers.host(name, host, ways.get(name), powering))
    }
    models = {}
    for name, model in inventory.models.items():
        host_name = inventory.host_name_of(model)
        host = inventory.hosts.get(host_name) if host_name else None
        defaults = _Defaults(host_name, host.engines) if host_name and host else None
        definition = drivers.model(name, model, defaults)
        if definition:
            models[name] = definition
    return Definitions(hosts, models), list(dict.fromkeys(drivers.problems))


class _Defaults(NamedTuple):
    """The engine options that a host gives to its models."""

    host_name: str
    by_kind: dict[str, dict[str, JsonValue]]


class _Way(NamedTuple):
    """How a host is reached, and through which other one."""

    access: Kind
    via: Via | None


def _of_environment(
    model: Model, engine: Kind, at: KeyPath, defaults: _Defaults, *, is_ours: bool
) -> Iterator[Problem]:
    """Yield what speaks against the variables of an engine, whose command line may be somebody else's."""
    env = engine.options.get("env")
    names = env.keys() if isinstance(env, dict) else set()
    is_own = "env" in model.engine.options
    place = (
        (*at, "engine", "env")
        if is_own
        else ("hosts", defaults.host_name, "engines", engine.kind, "env")
    )
    if names and not is_ours:
        found_ = (
            f"found variables, but {at[-1]} is a service that is there already: set them in its"
            " unit, with Environment="
        )
        yield Problem(
            "inventory", place, f"{found_}, and leave env out, or write `env: {{}}` at {at[-1]}"
        )
    for name in sorted({*CARDS} & names) if model.gpus else ():
        sentence = f"found it beside `gpus` of {at[-1]}, which sets it; remove one of the two"
        yield Problem("inventory", (*place, name), sentence, at_key=True)


class _Drivers:
    """Ask the catalog, and gather what it objects to."""

    def __init__(self, catalog: OptionsCatalog, typed: Callable[[KeyPath], str | None]) -> None:
        self._catalog = catalog
        self._typed = typed
        self.problems: list[Problem] = []

    def way(self, name: str, access: Kind, accesses: Mapping[str, Kind]) -> _Way | None:
        """Return how a host is reached, None when the one that it is reached through cannot be that."""
        via = jump(name, access, accesses)
        if isinstance(via, str):
            self.problems.append(Problem("inventory", ("hosts", name, "access", "via"), via))
            return None
        return _Way(access, via)

    def host(self, name: str, host: Host, way: _Way | None, powering: Powering) -> HostSpec | None:
        """Return the definition of a host, None when a driver objects."""
        at: KeyPath = ("hosts", name)
        for kind in host.engines:
            self._knows("engine", kind, (*at, "engines", kind), at_key=True)
        power = powering.spec(name, host, at)
        gpu = self.accepted("gpu", host.gpu, (*at, "gpu"))
        if not (way and power and gpu):
            return None
        can = powering.capabilities(power)
        return HostSpec(
            name=name,
            access=way.access,
            via=way.via,
            power=power,
            prepare=host.prepare,
            gpu=gpu,
            capabilities=can,
        )

    def model(self, name: str, model: Model, defaults: _Defaults | None) -> Definition | None:
        """Return the definition of a model, None when a driver objects or its host, and so defaults, is unknown."""
        at: KeyPath = ("models", name)
        launcher = self.accepted("launcher", model.launcher, (*at, "launcher"))
        if defaults is None:
            self._knows("engine", model.engine.kind, (*at, "engine", "kind"))
            return None
        options = self._options("engine", model.engine, (*at, "engine"), defaults)
        if not (options and launcher):
            return None
        engine = _kind(model.engine, options)
        is_ours = self._catalog.capabilities("launcher", launcher).keeps_conversations
        self.problems += _of_environment(model, engine, at, defaults, is_ours=is_ours)
        command = self._catalog.command(engine.kind, options, name, model.port, model.gpus)
        capabilities = self._catalog.capabilities("engine", engine)
        # Saved slots are proven against a command line that is known; a launcher may run one that
        # is somebody else's.
        keeps = capabilities.keeps_conversations and is_ours
        return Definition(
            engine,
            launcher,
            command,
            capabilities.model_copy(update={"keeps_conversations": keeps}),
        )

    def _knows(self, role: str, kind: str, path: KeyPath, *, at_key: bool = False) -> bool:
        kinds = self._catalog.kinds(role)
        if kind in kinds:
            return True
        is_planned = kind in _PLANNED
        later = " which is not in this version," if is_planned else ""
        sentence = (
            f"found {found(kind)},{later} expected"
            f" {one_of(kinds)}{'' if is_planned else nearest(kind, kinds)}"
        )
        self.problems.append(Problem("inventory", path, sentence, at_key))
        return False

    def able(self, role: str, kind: Kind) -> Capabilities:
        """Return what a driver can do."""
        return self._catalog.capabilities(role, kind)

    def accepted(self, role: str, written: Kind, place: KeyPath) -> Kind | None:
        """Return a kind with its options accepted and completed, None when its driver objects."""
        options = self._options(role, written, place)
        return _kind(written, options) if options else None

    def _options(
        self, role: str, written: Kind, place: KeyPath, defaults: _Defaults | None = None
    ) -> BaseModel | None:
        """Return the options of a kind, None when its driver objects."""
        if not self._knows(role, written.kind, (*place, "kind")):
            return None
        schema = self._catalog.options(role, written.kind)
        given = defaults.by_kind.get(written.kind, {}) if defaults else {}

        def origin(path: KeyPath) -> KeyPath:
            """Return where an option is written: with its model, or as a default of the model's host."""
            inherited = defaults and path[:1] and path[0] in given.keys() - written.options.keys()
            start = (
                ("hosts", defaults.host_name, "engines", written.kind)
                if defaults and inherited
                else place
            )
            return (*start, *path)

        try:
            return validated(
                schema, {**given, **written.options}, lambda path: self._typed(origin(path))
            )
        except ValidationError as error:
            problems = problems_of(error, "inventory", schema)
            self.problems += [problem._replace(path=origin(problem.path)) for problem in problems]
            return None


def _kind(written: Kind, options: BaseModel) -> Kind:
    """Return a kind with the options that its driver accepted, as they are kept."""
    return Kind(kind=written.kind, options=options.model_dump(mode="json"))
