"""Spec: everything that is needed to run a host's models, with no reference back to the files."""

from collections.abc import Iterable
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from reconciler.model.names import Digest, HostName, ModelName, Value
from reconciler.model.place import Door, Inside
from reconciler.model.preparation import Preparation
from reconciler.model.secret import Secret

Task: TypeAlias = Literal["chat", "completion", "embedding", "rerank"]
Conversations: TypeAlias = Literal["keep", "require", "drop"]
WantedPower: TypeAlias = Literal["on", "off", "suspend"]


class Kind(Value):
    """A driver and the options that its own schema accepted."""

    kind: str
    options: dict[str, JsonValue] = {}


class Command(Value):
    """What a launcher starts: relative paths are taken from the model's own directory on its host.

    `folders` must exist before it starts. `secrets` are variables whose values are read when it is
    started, and never kept.
    """

    argv: tuple[str, ...]
    env: dict[str, str] = {}
    folders: tuple[str, ...] = ()
    secrets: dict[str, Secret] = {}


class Capabilities(Value):
    """What drivers can do, as data for the planner.

    `owns` says of a launcher that what it starts has a command line of ours. That is asked while
    models are defined, and kept nowhere.
    """

    keeps_conversations: bool = False
    can_wake: bool = False
    can_suspend: bool = False
    can_shut_down: bool = False
    can_testify: bool = False
    can_cut: bool = False
    owns: bool = Field(default=False, exclude=True)


class ModelSpec(Value):
    """One model, defined completely. `digest` identifies its command line, and so its unit.

    `inside` is the container whose paths that command line has, None where they are the host's.
    """

    name: ModelName
    engine: Kind
    launcher: Kind
    port: int
    task: Task
    conversations: Conversations
    stable_for: float
    vram_bytes: int | None
    gpus: tuple[int, ...] = ()
    serves: str | None
    command: Command
    digest: Digest
    capabilities: Capabilities
    inside: Inside | None = None

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, JsonValue]:
        # What came later is left out where it says nothing: digests that are in the journal hold.
        written: dict[str, JsonValue] = write(self)
        if self.inside is None:
            del written["inside"]
        return written

    @property
    def door(self) -> Door:
        """Where it is reached."""
        return self.door_at(self.port)

    def door_at(self, port: int | None) -> Door:
        """Where a unit of it is reached that listens on `port`, None: not known."""
        port = port or self.port
        return port if self.inside is None else self.inside.door(port)

    @property
    def directory(self) -> str:
        """The model's own directory, relative to the host directory."""
        return f"models/{self.name}"

    @property
    def keeps_conversations(self) -> bool:
        """Whether conversations are saved and restored: that is wanted, and the engine can."""
        return self.conversations != "drop" and self.capabilities.keeps_conversations


class Via(Value):
    """The host that does something in the place of the controller, and how it is reached."""

    host: HostName
    access: Kind


class PowerDriver(Value):
    """One driver of a host's power.

    `via` is where it works from, None for the controller's own machine.
    """

    driver: Kind
    via: Via | None = None


class PowerSpec(Value):
    """The drivers of a host's power, by what each is for.

    Those under `wake` bring it up and are tried in order, `stop` shuts it down, `proof` tells
    whether it is on, and `force` may cut its power. `canary` is an address on the host's network
    that answers while the network does, None for the gateway there.
    """

    wake: tuple[PowerDriver, ...] = ()
    stop: PowerDriver | None = None
    proof: PowerDriver | None = None
    force: PowerDriver | None = None
    canary: str | None = None


def _of_before(power: object) -> object:
    # The journal holds definitions of versions whose only driver left power alone.
    return {} if isinstance(power, dict) and "kind" in power else power


class HostSpec(Value):
    """How to reach a host, through which other one if any, power and prepare it, read its cards."""

    name: HostName
    access: Kind
    via: Via | None = None
    power: Annotated[PowerSpec, BeforeValidator(_of_before)] = PowerSpec()
    prepare: Preparation | None = None
    gpu: Kind
    capabilities: Capabilities


class Slice(Value):
    """The part of a target that concerns one host, complete in itself. None means: not managed."""

    host: HostSpec
    power: WantedPower | None
    enforce: bool
    active: tuple[ModelName, ...] | None
    models: tuple[ModelSpec, ...]

    def stable_for(self, names: Iterable[str]) -> float:
        """For how many seconds these models must stay healthy before what was started is good."""
        chosen = set(names)
        return max((model.stable_for for model in self.models if model.name in chosen), default=0.0)

    def model(self, model_name: str) -> ModelSpec | None:
        """The definition of a model of this host, None where it has none of that name."""
        return next((model for model in self.models if model.name == model_name), None)
