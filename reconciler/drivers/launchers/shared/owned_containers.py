"""Containers of our own: made of an image for a model's command, found again by their label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from reconciler.drivers.launchers.shared.given import AGAIN_SECONDS, KILL_SECONDS
from reconciler.edge import secret
from reconciler.model.facts import Binary, Fact, Flags, Known, Mark, Unit, Unknown
from reconciler.model.log import LogPart
from reconciler.model.names import Value
from reconciler.model.onhost.answers import understood
from reconciler.model.onhost.containers import (
    AskContainerLog,
    AskImage,
    AskOwnedContainers,
    OwnedContainer,
    RunContainer,
    StopContainer,
)
from reconciler.model.spec import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import JsonValue

    from reconciler.model.spec import ModelSpec
    from reconciler.ports import Access, Evidence

KIND = "docker"
_TAKEN = ("image", "devices", "user", "volumes", "ipc", "shm")
"""The options that a container is made with as they are."""


class _Holder(Value):
    """What a container was made of, and the socket of the engine that keeps it."""

    image: str
    socket: str


class _Running(Unit):
    """A unit as the host tells it."""

    launcher: _Holder  # type: ignore[assignment]


_SEEN = TypeAdapter(tuple[_Running, ...])


def container_name(model_name: str) -> str:
    """Name the container of a model."""
    return f"reconciler-{model_name}"


def socket_of(launcher: Kind) -> str:
    """Name the socket that a model's options mean, "" for the only one that answers."""
    return str(launcher.options.get("socket") or "")


class OwnedContainers:
    """The launcher of our own containers on the host behind `access`."""

    def __init__(self, access: Access, models: Sequence[ModelSpec]) -> None:
        """Use a host; each model's own options say what its container is made of."""
        self._access = access
        self._models = models

    async def units(self, former: Sequence[ModelSpec] = ()) -> Fact[tuple[Unit, ...]]:
        """Every container that carries a mark, at the engines that the models name or named.

        Source: the label of each.
        """
        sockets = dict.fromkeys(socket_of(one.launcher) for one in (*self._models, *former))
        if not sockets:
            return Known(())
        (fact,) = await self._access.ask([AskOwnedContainers(sockets=tuple(sockets))])
        return understood(fact, _units, "the list of the host's own containers")

    async def binary(self, model: ModelSpec) -> Fact[Binary]:
        """The image, and why no container can be made of it."""
        (fact,) = await self._access.ask([AskImage(container=_container(model))])
        if isinstance(fact, Unknown):
            return fact
        seen = Binary.model_validate(fact.value)
        missing = secret.problem(model.command.secrets)
        return Known(seen.model_copy(update={"problem": seen.problem or missing}))

    async def flags(self, model: ModelSpec) -> Fact[Flags]:  # noqa: ARG002 - the port's
        """No objection: the program is in an image, and is not run to be asked."""
        return Known(Flags())

    async def log(self, model_name: str, lines: int = 20, after: str = "") -> Fact[LogPart]:
        """The last lines of its newest container, or those since `after`."""
        model = next(model for model in self._models if model.name == model_name)
        name, socket = container_name(model.name), socket_of(model.launcher)
        asked = AskContainerLog(name=name, socket=socket, lines=lines, after=after)
        (fact,) = await self._access.ask([asked])
        return understood(fact, LogPart.model_validate, f"the log of {name}")

    async def start(self, model: ModelSpec, mark: Mark) -> Evidence:
        """Make and start the container; raise DriverError, or Declined without its secrets."""
        command = model.command
        given = model.launcher.options.get("env") or {}
        words: dict[str, Any] = {**(given if isinstance(given, dict) else {}), **command.env}
        env = {**words, **secret.read_words(command.secrets)}
        return await self._access.act(RunContainer(container=_container(model), mark=mark, env=env))

    async def stop(self, unit: Unit, grace: float) -> Evidence:
        """End the container; KILL for what is left after `grace` seconds and some.

        Raise DriverError.
        """
        return await self._access.act(
            StopContainer(
                name=container_name(unit.mark.model),
                socket=socket_of(unit.launcher),
                identity=unit.identity,
                grace=grace + AGAIN_SECONDS,
                kill=KILL_SECONDS,
            )
        )


def _container(model: ModelSpec) -> OwnedContainer:
    taken = {
        name: model.launcher.options[name] for name in _TAKEN if name in model.launcher.options
    }
    return OwnedContainer.model_validate(
        {
            **taken,
            "name": container_name(model.name),
            "socket": socket_of(model.launcher),
            "argv": model.command.argv,
            "directory": model.directory,
            "folders": model.command.folders,
        }
    )


def _units(said: Mapping[str, JsonValue]) -> tuple[Unit, ...]:
    return tuple(_unit(one) for one in _SEEN.validate_python(said["units"]))


def _unit(one: _Running) -> Unit:
    kind = Kind(kind=KIND, options=one.launcher.model_dump())
    return Unit.model_validate({**one.model_dump(exclude={"launcher"}), "launcher": kind})
