"""Closed definitions: everything that is needed to run a host's models, with no reference back to the files."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import JsonValue

from reconciler.model.names import Digest, HostName, ModelName, Value

Task: TypeAlias = Literal["chat", "completion", "embedding", "rerank"]
Conversations: TypeAlias = Literal["keep", "require", "drop"]
WantedPower: TypeAlias = Literal["on", "off", "suspend"]


class Kind(Value):
    """Name a driver and the options that its own schema accepted."""

    kind: str
    options: dict[str, JsonValue] = {}


class Command(Value):
    """Describe what a launcher starts: relative paths are taken from the model's own directory on its host.

    `folders` must exist before it starts.
    """

    argv: tuple[str, ...]
    env: dict[str, str] = {}
    folders: tuple[str, ...] = ()


class Capabilities(Value):
    """Tell the planner what drivers can do, as data."""

    keeps_conversations: bool = False
    can_wake: bool = False
    can_suspend: bool = False
    can_shut_down: bool = False


class ModelSpec(Value):
    """Define one model completely. `digest` identifies its command line, and so its unit."""

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

    @property
    def directory(self) -> str:
        """Return the model's own directory, relative to the host directory."""
        return f"models/{self.name}"

    @property
    def keeps_conversations(self) -> bool:
        """Return whether conversations are saved and restored: that is wanted, and the engine can."""
        return self.conversations != "drop" and self.capabilities.keeps_conversations


class HostSpec(Value):
    """Define how to reach a host, power it and read its accelerators."""

    name: HostName
    access: Kind
    power: Kind
    gpu: Kind
    capabilities: Capabilities


class Slice(Value):
    """Be the part of a target that concerns one host, complete in itself. None means: not managed."""

    host: HostSpec
    power: WantedPower | None
    enforce: bool
    active: tuple[ModelName, ...] | None
    models: tuple[ModelSpec, ...]

    def model(self, model_name: str) -> ModelSpec | None:
        """Return the definition of a model of this host."""
        return next((model for model in self.models if model.name == model_name), None)
