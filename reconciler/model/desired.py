"""Desired: what the operator wants, as desired.yaml says it."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from reconciler.model.lending import Idle
from reconciler.model.names import ConfigFile, HostName, ModelName, Value
from reconciler.model.quantity import Seconds, Version, expected, parse_seconds

Power: TypeAlias = Literal["on", "off", "suspend", "auto"]
ApplyFrom: TypeAlias = Literal["saved", "committed", "signed"]

HOUR, WEEK = 3600.0, 7 * 86400.0

_BOOLEANS = {"on": "on", "yes": "on", "true": "on", "off": "off", "no": "off", "false": "off"}
"""What YAML 1.1 tools take for booleans, and may write in place of each other."""


def _power(value: object) -> object:
    if value is None:
        raise expected(
            "on, off, suspend or auto; leave the key out when power is not to be managed"
        )
    return _BOOLEANS.get(str(value).lower(), value)


def _names(value: object) -> object:
    # `active:` alone is refused below: it could mean none or not managed, and the wrong guess would
    # stop what serves.
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)):
        raise expected(
            "a model, a list of models, or [] to run none; leave the key out when models are not to"
            " be managed"
        )
    if len({str(name) for name in names}) < len(names):
        raise expected("every model once")
    return names


def _allowed(value: object) -> object:
    if value == "any":
        return value
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)):
        raise expected("any, a model, a list of models, or [] for none")
    return names


def _return_after(value: object) -> object:
    return value if value == "never" else parse_seconds(value)


def _empty_mapping(value: object) -> object:
    return {} if value is None else value


class HostWish(Value):
    """What is wanted of one host. A key that is not there is not managed."""

    power: Annotated[Power | None, BeforeValidator(_power, json_schema_input_type=Power | bool)] = (
        Field(
            default=None,
            description=(
                "on, off, suspend, or auto: woken when a model of the host is asked for, put to"
                " sleep by `idle`. Without the key, power is left alone."
            ),
        )
    )
    active: Annotated[
        tuple[ModelName, ...] | None,
        BeforeValidator(_names, json_schema_input_type=ModelName | tuple[ModelName, ...]),
    ] = Field(
        default=None,
        description=(
            "The model that runs, or a list of them; [] stops all. Without the key, models are left"
            " alone."
        ),
    )
    allow: Annotated[
        tuple[ModelName, ...] | Literal["any"] | None,
        BeforeValidator(_allowed, json_schema_input_type=ModelName | tuple[ModelName, ...]),
    ] = Field(
        default=None,
        description=(
            "The models that requests to the gateway may bring in for a while in place of those of"
            " `active`: any, one, or a list. Without the key, none."
        ),
    )
    return_after: Annotated[
        Annotated[float, Field(ge=0, le=WEEK)] | Literal["never"],
        BeforeValidator(_return_after, json_schema_input_type=float | str),
    ] = Field(
        default=300.0,
        description=(
            "How long nothing may ask for a model that requests brought in until `active` comes"
            " back, or never."
        ),
    )
    min_residency: Annotated[Seconds, Field(le=HOUR)] = Field(
        default=30.0,
        description="How long a model that is in use keeps its place while others wait for it.",
    )
    max_wait: Annotated[Seconds, Field(ge=1, le=HOUR)] = Field(
        default=240.0,
        description="How long a request waits for its model before it is told why in vain.",
    )
    idle: Idle | None = Field(
        default=None,
        description="When the host comes to rest if no request comes; without the key, never.",
    )
    enforce: bool = Field(
        default=False,
        strict=True,
        description=(
            "Power off a host that was switched on by other means after `power: off` was written."
        ),
    )
    description: str = Field(default="", description="Free text for people; changes nothing.")


class Desired(ConfigFile, HostWish):
    """What is wanted: of the only host at the top level, or of several under `hosts`."""

    version: Version = Field(description="1, the version of this file's format.")
    apply_from: ApplyFrom = Field(
        default="saved",
        description=(
            "What may be applied: the files as saved, as committed to git, or only as committed and"
            " signed."
        ),
    )
    hosts: (
        dict[
            HostName,
            Annotated[
                HostWish, BeforeValidator(_empty_mapping, json_schema_input_type=HostWish | None)
            ],
        ]
        | None
    ) = Field(
        default=None,
        description="What is wanted of each host. A host that is not named is not managed.",
    )

    def wishes(self, only_host: HostName | None) -> dict[HostName, HostWish]:
        """What is wanted, by host; the top level speaks of the only host."""
        if self.hosts is not None:
            return self.hosts
        if only_host is None or {self.power, self.active, self.allow, self.idle} == {None}:
            return {}
        return {only_host: self}
