"""Inventory: what exists, as inventory.yaml says it."""

from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, JsonValue, StringConstraints, Tag

from reconciler.model.address import Machine
from reconciler.model.gateway import Gateway
from reconciler.model.names import ConfigFile, HostName, ModelName, Value
from reconciler.model.preparation import Preparation
from reconciler.model.quantity import WHOLE, Memory, Seconds, Version, expected
from reconciler.model.spec import Conversations, Kind, Task

LOCAL = "local"
"""The name of this machine where no hosts are named."""

GIVEN = {"engine": "engines", "launcher": "launchers"}
"""The key of a host with what it gives to every model, by the role of the driver that takes it."""


def _kind(value: object) -> object:
    if isinstance(value, str):
        return {"kind": value}
    if isinstance(value, dict) and isinstance(value.get("kind"), str):
        options = {key: value[key] for key in value if key != "kind"}
        return {"kind": value["kind"], "options": options}
    raise expected("the name of a driver, or a mapping with `kind` and its options")


def _way(value: object) -> str:
    """Whether a driver is named for each role (`[apart]`) or one for all (`[one]`)."""
    # Told apart before either is validated, or a mistake in one way would be explained by both.
    if isinstance(value, dict):
        apart = "kind" not in value and not PowerRoles.model_fields.keys().isdisjoint(value)
    else:
        apart = isinstance(value, PowerRoles)
    return "[apart]" if apart else "[one]"


def _power(value: object) -> object:
    return value if _way(value) == "[apart]" else _kind(value)


def _list(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _empty_mapping(value: object) -> object:
    return {} if value is None else value


KindOf: TypeAlias = Annotated[
    Kind, BeforeValidator(_kind, json_schema_input_type=str | dict[str, JsonValue])
]


class PowerRoles(Value):
    """The driver of each role in a host's power."""

    wake: Annotated[
        tuple[KindOf, ...], BeforeValidator(_list, json_schema_input_type=KindOf | list[KindOf])
    ] = Field(
        default=(),
        description=(
            "What brings the host up, one driver or several that are tried in order; none leaves"
            " that to a person."
        ),
    )
    stop: KindOf | None = Field(
        default=None,
        description="What shuts it down; without it, its own system, through its access.",
    )
    proof: KindOf | None = Field(
        default=None, description="What tells from outside whether it is on."
    )
    force: KindOf | None = Field(
        default=None,
        description=(
            "What cuts the power when it hangs on its way down and is known to be on; without it,"
            " nothing does."
        ),
    )
    canary: Machine | None = Field(
        default=None,
        description=(
            "An address on the host's network that always answers, so that silence of the host"
            " alone says something; without it, the gateway there."
        ),
    )


class Host(Value):
    """A machine: how to reach it, power it and read its accelerators."""

    access: KindOf = Field(
        default=Kind(kind="local"), description="How to reach the host; local is this machine."
    )
    power: Annotated[
        Annotated[PowerRoles, Tag("[apart]")] | Annotated[Kind, Tag("[one]")],
        Discriminator(_way),
        BeforeValidator(_power, json_schema_input_type=str | dict[str, JsonValue]),
    ] = Field(
        default=Kind(kind="none"),
        description=(
            "How to switch the host on and off: one driver for all that it can do, or one each for"
            " wake, stop, proof and force; none leaves power alone."
        ),
    )
    prepare: Preparation | None = Field(
        default=None,
        description="Programs that are run there after each boot or sleep, before anything starts.",
    )
    gpu: KindOf = Field(
        default=Kind(kind="auto"),
        description="How to read the accelerators; auto goes by the device nodes.",
    )
    engines: dict[str, dict[str, JsonValue]] = Field(
        default={},
        description=(
            "Options that every model of an engine kind has on this host, unless it says otherwise."
        ),
    )
    launchers: dict[str, dict[str, JsonValue]] = Field(
        default={},
        description=(
            "Options that every model of a launcher kind has on this host, unless it says"
            " otherwise."
        ),
    )
    description: str = Field(default="", description="Free text for people; changes nothing.")


Alias: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[^\s\x00-\x1f\x7f]{1,128}$")]


class Model(Value):
    """Weights, the engine that runs them, what launches it, and where it answers."""

    host: HostName | None = Field(
        default=None, description="The host of this model; not needed when there is only one."
    )
    engine: KindOf = Field(description="The inference program and its options.")
    launcher: KindOf = Field(
        default=Kind(kind="process"), description="What runs the engine on its host."
    )
    port: Annotated[int, Field(ge=1, le=65535), WHOLE] = Field(
        default=8080,
        description="The port that it answers on: of its host's loopback, or of its own network.",
    )
    task: Task = Field(default="chat", description="What the model is asked for, and tested with.")
    vram: Memory | None = Field(
        default=None,
        description=(
            'Accelerator memory it needs, such as "44 GiB"; without it, estimated and then'
            " measured."
        ),
    )
    conversations: Conversations = Field(
        default="keep",
        description=(
            "Conversations in a switch: keep tries to save, require stops nothing unsaved, drop"
            " does not try."
        ),
    )
    stable_for: Seconds = Field(
        default=10.0, description='How long it must stay healthy to count as good, such as "10s".'
    )
    serves: str | None = Field(
        default=None, description="The model name that the engine must report, when it is not ours."
    )
    aliases: tuple[Alias, ...] = Field(
        default=(),
        description=(
            "Other names by which requests to the gateway may ask for it. Models that share one are"
            " a pool: the one that answers soonest takes the request."
        ),
    )
    gpus: tuple[Annotated[int, Field(ge=0), WHOLE], ...] = Field(
        default=(),
        description=(
            "The cards it uses, numbered as nvidia-smi does; its memory is taken to be in even"
            " parts on them. Without it, whatever the engine takes."
        ),
    )
    description: str = Field(default="", description="Free text for people; changes nothing.")


class Inventory(ConfigFile):
    """Every host and every model."""

    version: Version = Field(description="1, the version of this file's format.")
    hosts: dict[
        HostName,
        Annotated[Host, BeforeValidator(_empty_mapping, json_schema_input_type=Host | None)],
    ] = Field(
        default={LOCAL: Host()},
        min_length=1,
        description="Every host; without the key, this machine, called local.",
    )
    models: dict[ModelName, Model] = Field(
        description="Every model, by the name that desired.yaml calls it."
    )
    gateway: Annotated[
        Gateway, BeforeValidator(_empty_mapping, json_schema_input_type=Gateway | None)
    ] = Field(default=Gateway(), description="How `reconciler serve` is reached.")
    description: str = Field(default="", description="Free text for people; changes nothing.")

    @property
    def only_host(self) -> HostName | None:
        """The name of the host where there is only one."""
        return next(iter(self.hosts)) if len(self.hosts) == 1 else None

    def host_name_of(self, model: Model) -> HostName | None:
        """The host of a model: as written, or the only one there is."""
        return model.host or self.only_host
