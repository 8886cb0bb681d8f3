"""Run a model as a container of Docker or Podman: one that exists already, or one of our own.

The command line of the first is its operator's, and it always runs as it was made: to change it is
to make another one of its name. The second is made of an image for each start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from reconciler.drivers.launchers.shared.either import GivenOrOwned
from reconciler.drivers.launchers.shared.given import GivenUnits
from reconciler.drivers.launchers.shared.owned_containers import OwnedContainers, socket_of
from reconciler.model.names import IMAGE_PATTERN
from reconciler.model.onhost.containers import (
    AskContainerCommand,
    AskContainerLog,
    AskContainers,
    GivenContainer,
    StartContainer,
    StopContainer,
)
from reconciler.model.place import Inside
from reconciler.model.quantity import Bytes, Word
from reconciler.model.spec import Capabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.model.spec import Kind, ModelSpec
    from reconciler.ports import Access

_OWN = ("devices", "user", "volumes", "env", "ipc", "shm")
"""What only a container of our own is made with."""

_MARKED = "RECONCILER_"

_Volume = Annotated[
    str, StringConstraints(pattern=r"^[^:\x00-\x1f]+:/[^:\x00-\x1f]+(:[A-Za-z,]+)?$")
]
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_Device = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/=-]*$")]


class Options(BaseModel):
    """The model is a container: one that exists already, or one that is made of an image."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    container: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]+$",
        description="The container; that of the model's name unless it is named.",
    )
    image: str | None = Field(
        default=None,
        pattern=IMAGE_PATTERN,
        description=(
            "What a container reconciler-MODEL is made of for each start; it is not pulled. Without"
            " it, a container exists already."
        ),
    )
    socket: str | None = Field(
        default=None,
        pattern=r"^/",
        description=(
            "Where its engine listens. Without it, the only one that answers of"
            " /var/run/docker.sock and /run/podman/podman.sock and, in $XDG_RUNTIME_DIR,"
            " docker.sock and podman/podman.sock."
        ),
    )
    network: Literal["host", "own"] = Field(
        default="host",
        description=(
            "host: it is reached by a port of its host, which it listens on or publishes. own: by"
            " its own address, and `port` is one of its own network."
        ),
    )
    devices: Literal["auto", "none", "all"] | tuple[_Device, ...] = Field(
        default="auto",
        description=(
            "The accelerators in it: those of the host (auto), none, all that NVIDIA's runtime"
            " gives, or a list of names of the Container Device Interface and of NVIDIA's ids."
        ),
    )
    user: str | None = Field(
        default=None,
        pattern=r"^[0-9]+:[0-9]+$",
        description=(
            'Who runs in it and owns its files, as numbers, such as "1000:1000"; without it, the'
            " account that uses the engine."
        ),
    )
    volumes: tuple[_Volume, ...] = Field(
        default=(),
        description=(
            "What else is mounted, such as /data:/data:ro. What the command line names is mounted"
            " by itself."
        ),
    )
    env: dict[_Name, Word] = Field(default={}, description="More variables for its environment.")
    ipc: Literal["host", "private", "shareable"] | None = Field(
        default=None, description="Whose shared memory it uses; without it, as the engine does."
    )
    shm: Bytes | None = Field(
        default=None,
        description='The size of its shared memory, such as "8 GiB"; without it, the usual one.',
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.image and self.container:
            raise ValueError(
                "give either container (one that exists already) or image (what one is made of"
                " for each start)"
            )
        if self.image and self.network != "host":
            raise ValueError("what is made of an image has the host's network; remove network")
        # Completed options are validated again: a default that is written is no mistake.
        given = [name for name, value in self if name in _OWN and value != _default(name)]
        if given and not self.image:
            raise ValueError(
                f"{given[0]} is of a container that is made of an image, and this one exists"
                " already; remove it, or give an image"
            )
        marks = [name for name in self.env if name.startswith(_MARKED)]
        if marks:
            raise ValueError(f"{marks[0]} cannot be set in env: it tells a program who started it")
        if self.ipc == "host" and self.shm is not None:
            raise ValueError("with `ipc: host` the shared memory is the host's; remove shm")
        return self


def _default(name: str) -> object:
    return Options.model_fields[name].default


def capabilities(options: Options) -> Capabilities:
    """The command line is ours where the container is."""
    return Capabilities(owns=options.image is not None)


def launched(options: Options) -> JsonValue:
    """List what of a container identifies its unit beside its command line."""
    # Without defaults: no option that an upgrade adds may restart every container.
    made: dict[str, JsonValue] = options.model_dump(
        mode="json", include={"image", *_OWN}, exclude_defaults=True
    )
    return made or None


def inside(options: Options, model_name: str) -> Inside:
    """Name the container, whose paths are its own, or the image whose programs they are."""
    socket = options.socket or ""
    if options.image is not None:
        return Inside(kind="image", name=options.image, socket=socket)
    name, network = options.container or model_name, options.network
    return Inside(kind="docker", name=name, socket=socket, network=network)


class GivenContainers(GivenUnits):
    """The containers that exist already. Source: the API of their engine."""

    what, option = "container", "container"
    asks, asks_log, asks_command = AskContainers, AskContainerLog, AskContainerCommand
    starts, stops = StartContainer, StopContainer

    def given(self, launcher: Kind, model_name: str) -> GivenContainer:
        """Name the container that a model's options mean."""
        name = str(launcher.options.get("container") or model_name)
        return GivenContainer(name=name, socket=socket_of(launcher))


class Driver(GivenOrOwned):
    """The launcher of containers on the host behind `access`."""

    needs_definition = True

    def __init__(self, access: Access, models: Sequence[ModelSpec]) -> None:
        """Use a host; each model's own options name its container, or an image."""
        owned = [model for model in models if self.is_owned(model.launcher)]
        given = [model for model in models if model not in owned]
        super().__init__(GivenContainers(access, given), OwnedContainers(access, owned), models)

    @staticmethod
    def is_owned(launcher: Kind) -> bool:
        """Whether a container is made of an image."""
        return launcher.options.get("image") is not None
