"""Inventory: what exists, as inventory.yaml says it."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field, JsonValue

from reconciler.model.names import HostName, ModelName, Value
from reconciler.model.quantity import Bytes, Seconds, Version, expected
from reconciler.model.spec import Conversations, Kind, Task

LOCAL = "local"
"""The name of this machine where no hosts are named."""

_ROLES = {"wake", "stop", "proof"}


def _kind(value: object) -> object:
    if isinstance(value, str):
        return {"kind": value}
    if isinstance(value, dict):
        if isinstance(value.get("kind"), str):
            return {"kind": value["kind"], "options": {key: value[key] for key in value if key != "kind"}}
        if _ROLES & value.keys():
            raise expected("one driver for all of power; wake, stop and proof apart are not in this version")
    raise expected("the name of a driver, or a mapping with `kind` and its options")


def _empty_mapping(value: object) -> object:
    return {} if value is None else value


KindOf: TypeAlias = Annotated[Kind, BeforeValidator(_kind, json_schema_input_type=str | dict[str, JsonValue])]


class Host(Value):
    """Describe a machine: how to reach it, power it and read its accelerators."""

    access: KindOf = Field(default=Kind(kind="local"), description="How to reach the host; local is this machine.")
    power: KindOf = Field(default=Kind(kind="none"), description="How to switch the host on and off; none leaves power alone.")
    gpu: KindOf = Field(default=Kind(kind="auto"), description="How to read the accelerators; auto goes by the device nodes.")
    engines: dict[str, dict[str, JsonValue]] = Field(
        default={}, description="Options that every model of an engine kind has on this host, unless it says otherwise."
    )
    description: str = Field(default="", description="Free text for people; changes nothing.")


class Model(Value):
    """Describe weights, the engine that runs them, what launches it, and where it answers."""

    host: HostName | None = Field(default=None, description="The host of this model; not needed when there is only one.")
    engine: KindOf = Field(description="The inference program and its options.")
    launcher: KindOf = Field(default=Kind(kind="process"), description="What runs the engine on its host.")
    port: int = Field(default=8080, strict=True, ge=1, le=65535, description="The loopback port of the host that it answers on.")
    task: Task = Field(default="chat", description="What the model is asked for, and tested with.")
    vram: Bytes | None = Field(
        default=None,
        description='Accelerator memory it needs, such as "44 GiB"; without it, estimated and then measured.',
    )
    conversations: Conversations = Field(
        default="keep",
        description="Conversations in a switch: keep tries to save, require stops nothing unsaved, drop does not try.",
    )
    stable_for: Seconds = Field(default=10.0, description='How long it must stay healthy to count as good, such as "10s".')
    serves: str | None = Field(default=None, description="The model name that the engine must report, when it is not ours.")
    gpus: tuple[Annotated[int, Field(strict=True, ge=0)], ...] = Field(
        default=(),
        description="The cards it uses, numbered as nvidia-smi does; its memory is taken to be in even parts on them. "
        "Without it, what the engine takes by itself.",
    )
    description: str = Field(default="", description="Free text for people; changes nothing.")


class Inventory(Value):
    """Describe every host and every model."""

    version: Version = Field(description="1, the version of this file's format.")
    hosts: dict[HostName, Annotated[Host, BeforeValidator(_empty_mapping, json_schema_input_type=Host | None)]] = Field(
        default={LOCAL: Host()}, min_length=1, description="Every host; without the key, this machine, called local."
    )
    models: dict[ModelName, Model] = Field(description="Every model, by the name that desired.yaml calls it.")
    description: str = Field(default="", description="Free text for people; changes nothing.")

    @property
    def only_host(self) -> HostName | None:
        """Return the name of the host where there is only one."""
        return next(iter(self.hosts)) if len(self.hosts) == 1 else None

    def host_name_of(self, model: Model) -> HostName | None:
        """Return the host of a model: as written, or the only one there is."""
        return model.host or self.only_host
