"""Definitions: what drivers make of an inventory, and everything they object to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, JsonValue, ValidationError

from reconciler.config.power_roles import Powering
from reconciler.config.resolve import Definition, Definitions
from reconciler.config.typed_text import validated
from reconciler.config.validation_messages import problems_of
from reconciler.config.via import jump
from reconciler.model.inventory import GIVEN
from reconciler.model.problem import KeyPath, Problem, found, nearest, one_of
from reconciler.model.spec import Capabilities, HostSpec, Kind, Via

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from reconciler.model.inventory import Host, Inventory, Model
    from reconciler.ports import OptionsCatalog

_PLANNED = {"podman", "vllm", "sglang", "ollama"}

CARDS = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
"""Variables that `gpus` of a model sets."""


def define(
    inventory: Inventory, catalog: OptionsCatalog, typed: Callable[[KeyPath], str | None]
) -> tuple[Definitions, list[Problem]]:
    """Define all hosts and models whose drivers accept them, with a problem for everything else.

    `typed` knows the text of an unquoted number, true or false at a path of the inventory.
    """
    drivers = _Drivers(catalog, typed)
    accesses = {
        name: access
        for name, host in inventory.hosts.items()
        if (access := drivers.accepted("access", host.access, ("hosts", name, "access")))
    }
    hosts = _hosts(inventory, drivers, accesses)
    models = {
        name: definition
        for name, model in inventory.models.items()
        if (definition := drivers.model(name, model, _defaults_of(model, inventory)))
    }
    return Definitions(hosts, models), list(dict.fromkeys(drivers.problems))


def _hosts(
    inventory: Inventory, drivers: _Drivers, accesses: Mapping[str, Kind]
) -> dict[str, HostSpec]:
    powering = Powering(drivers, accesses)
    ways = {name: drivers.way(name, access, accesses) for name, access in accesses.items()}
    return {
        name: spec
        for name, host in inventory.hosts.items()
        if (spec := drivers.host(name, host, ways.get(name), powering))
    }


class _Given(NamedTuple):
    """The options of a kind that a host gives to its models, and where they are written."""

    at: KeyPath = ()
    options: Mapping[str, JsonValue] = {}


class _Defaults(NamedTuple):
    """What a host gives to its models."""

    host_name: str
    host: Host

    def of(self, role: str, kind: str) -> _Given:
        key = GIVEN[role]
        options = getattr(self.host, key).get(kind, {})
        return _Given(("hosts", self.host_name, key, kind), options)


def _defaults_of(model: Model, inventory: Inventory) -> _Defaults | None:
    name = inventory.host_name_of(model)
    host = inventory.hosts.get(name) if name else None
    return _Defaults(name, host) if name and host else None


def _origin(place: KeyPath, written: Kind, given: _Given, path: KeyPath) -> KeyPath:
    """Find where an option is written: at its kind, or as a default of the model's host."""
    if path and path[0] in given.options.keys() - written.options.keys():
        return (*given.at, *path)
    return (*place, *path)


class _Way(NamedTuple):
    """How a host is reached, and through which other one."""

    access: Kind
    via: Via | None


def _of_environment(
    model: Model, engine: Kind, at: KeyPath, defaults: _Defaults, *, is_ours: bool
) -> Iterator[Problem]:
    """Find what speaks against the variables of an engine, whose command line may not be ours."""
    env = engine.options.get("env")
    names = env.keys() if isinstance(env, dict) else set()
    given = defaults.of("engine", engine.kind)
    place = _origin((*at, "engine"), model.engine, given, ("env",))
    name = at[-1]
    if names and not is_ours:
        sentence = (
            f"found variables, but {name} is a service that is there already: set them in its"
            f" unit, with Environment=, and leave env out, or write `env: {{}}` at {name}"
        )
        yield Problem("inventory", place, sentence)
    if not model.gpus:
        return
    for variable in sorted({*CARDS} & names):
        sentence = f"found it beside `gpus` of {name}, which sets it; remove one of the two"
        yield Problem("inventory", (*place, variable), sentence, at_key=True)


def _missing(options: BaseModel, needed: Sequence[str], at: KeyPath) -> Iterator[Problem]:
    """Find what a command line cannot be made without."""
    for key in needed:
        if getattr(options, key) is None:
            described = type(options).model_fields[key].description
            yield Problem(
                "inventory", (*at, key), f"is missing; expected: {described}", at_key=True
            )


class _Drivers:
    """What the catalog makes of drivers and their options, and what it objects to."""

    def __init__(self, catalog: OptionsCatalog, typed: Callable[[KeyPath], str | None]) -> None:
        self._catalog = catalog
        self._typed = typed
        self.problems: list[Problem] = []

    def way(self, name: str, access: Kind, accesses: Mapping[str, Kind]) -> _Way | None:
        """How a host is reached, None when it cannot be reached through the one that is named."""
        via = jump(name, access, accesses)
        if isinstance(via, str):
            self.problems.append(Problem("inventory", ("hosts", name, "access", "via"), via))
            return None
        return _Way(access, via)

    def host(self, name: str, host: Host, way: _Way | None, powering: Powering) -> HostSpec | None:
        """Define a host, None when a driver objects."""
        at: KeyPath = ("hosts", name)
        for role, key in GIVEN.items():
            for kind in getattr(host, key):
                self._knows(role, kind, (*at, key, kind), at_key=True)
        power = powering.spec(name, host, at)
        gpu = self.accepted("gpu", host.gpu, (*at, "gpu"))
        if not (way and power and gpu):
            return None
        return HostSpec(
            name=name,
            access=way.access,
            via=way.via,
            power=power,
            prepare=host.prepare,
            gpu=gpu,
            capabilities=powering.capabilities(power),
        )

    def model(self, name: str, model: Model, defaults: _Defaults | None) -> Definition | None:
        """Define a model, None when a driver objects.

        None too when its host is not known, and so not the defaults either.
        """
        at: KeyPath = ("models", name)
        written = {"engine": model.engine, "launcher": model.launcher}
        if defaults is None:
            for role, one in written.items():
                self._knows(role, one.kind, (*at, role, "kind"))
            return None
        options, others = (
            self._options(role, one, (*at, role), defaults.of(role, one.kind))
            for role, one in written.items()
        )
        if not (options and others):
            return None
        engine, launcher = _kind(model.engine, options), _kind(model.launcher, others)
        is_ours = self._catalog.capabilities("launcher", launcher).owns
        self.problems += _of_environment(model, engine, at, defaults, is_ours=is_ours)
        if is_ours:
            self.problems += _missing(options, self._catalog.needed(engine.kind), (*at, "engine"))
        command = self._catalog.command(engine.kind, options, name, model.port, model.gpus)
        inside, launched = self._catalog.inside(launcher, name), self._catalog.launched(launcher)
        can = self._catalog.capabilities("engine", engine)
        return Definition(engine, launcher, command, can, inside, launched)

    def _knows(self, role: str, kind: str, path: KeyPath, *, at_key: bool = False) -> bool:
        kinds = self._catalog.kinds(role)
        if kind in kinds:
            return True
        is_planned = kind in _PLANNED
        later = " which is not in this version," if is_planned else ""
        near = "" if is_planned else nearest(kind, kinds)
        sentence = f"found {found(kind)},{later} expected {one_of(kinds)}{near}"
        self.problems.append(Problem("inventory", path, sentence, at_key))
        return False

    def able(self, role: str, kind: Kind) -> Capabilities:
        """What a driver can do."""
        return self._catalog.capabilities(role, kind)

    def accepted(self, role: str, written: Kind, place: KeyPath) -> Kind | None:
        """Complete the options of a kind, None when its driver objects."""
        options = self._options(role, written, place)
        return _kind(written, options) if options else None

    def _options(
        self, role: str, written: Kind, place: KeyPath, given: _Given | None = None
    ) -> BaseModel | None:
        if not self._knows(role, written.kind, (*place, "kind")):
            return None
        schema = self._catalog.options(role, written.kind)
        given = given or _Given()
        whole: JsonValue = {**given.options, **written.options}
        origin = partial(_origin, place, written, given)
        try:
            return validated(schema, whole, lambda path: self._typed(origin(path)))
        except ValidationError as error:
            problems = problems_of(error, "inventory", schema)
            self.problems += [problem._replace(path=origin(problem.path)) for problem in problems]
            return None


def _kind(written: Kind, options: BaseModel) -> Kind:
    return Kind(kind=written.kind, options=options.model_dump(mode="json"))
