"""Gateway: where requests are taken, under which names, and which pages may ask."""

import re
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import BeforeValidator, Field

from reconciler.model.names import Value
from reconciler.model.quantity import expected, parse_bytes

ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(?P<port>[0-9]{1,5})")
NAME = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")
"""Browser extensions and desktop programs have other schemes: chrome-extension, app."""

PORTS = 65536

LEAST_OF_A_BODY = 1024 * 1024
LARGEST_BODY = 32 * 1024 * 1024
MOST_OF_A_BODY = 256 * 1024 * 1024
"""As much as all requests together."""


def _address(value: object) -> object:
    found = ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if found is None or int(found["port"]) >= PORTS:
        raise expected("HOST:PORT, such as 127.0.0.1:8400, or 0.0.0.0:8400 for every address")
    return value


def _list(value: object) -> object:
    return value if isinstance(value, (list, tuple)) else [value]


def _empty_mapping(value: object) -> object:
    return {} if value is None else value


def _name(value: object) -> object:
    name = value.lower() if isinstance(value, str) else ""
    if not NAME.fullmatch(name):
        raise expected("a host name as clients write it in a URL, without a port, such as llm.home")
    return name


def _origin(value: object) -> object:
    origin = value.lower() if isinstance(value, str) else ""
    if not ORIGIN.fullmatch(origin):
        raise expected("the scheme, host and port of a page, such as https://chat.home")
    return origin


def _body(value: object) -> int:
    size = parse_bytes(value)
    if not LEAST_OF_A_BODY <= size <= MOST_OF_A_BODY:
        raise expected('a size from 1 MiB to 256 MiB with its unit, such as "64 MiB"')
    return size


def _compat(value: object) -> object:
    if value not in get_args(Compat):
        raise expected("get_unload, by which GET /unload lets go of models, as llama-swap has it")
    return value


Compat: TypeAlias = Literal["get_unload"]
HostAlias: TypeAlias = Annotated[str, BeforeValidator(_name, json_schema_input_type=str)]
PageOrigin: TypeAlias = Annotated[str, BeforeValidator(_origin, json_schema_input_type=str)]
BodySize: TypeAlias = Annotated[int, BeforeValidator(_body, json_schema_input_type=int | str)]


class GatewayLimits(Value):
    """What is taken of one client."""

    body: BodySize = Field(
        default=LARGEST_BODY,
        description='How large a request may be, from 1 MiB to 256 MiB, such as "64 MiB".',
    )


class Gateway(Value):
    """How `reconciler serve` is reached."""

    listen: Annotated[str, BeforeValidator(_address, json_schema_input_type=str)] = Field(
        default="127.0.0.1:8400",
        description=(
            "The address for requests, unless `--listen` or systemd names another; beyond the"
            " loopback it needs keys. A change counts from the next start."
        ),
    )
    names: Annotated[
        tuple[HostAlias, ...], BeforeValidator(_list, json_schema_input_type=str | list[str])
    ] = Field(
        default=(),
        description=(
            "The host names by which clients reach it beside this machine's addresses; other ones"
            " are refused."
        ),
    )
    origins: Annotated[
        tuple[PageOrigin, ...], BeforeValidator(_list, json_schema_input_type=str | list[str])
    ] = Field(
        default=(),
        description=(
            "The pages of other hosts whose scripts may ask, such as https://chat.home, and"
            " programs that name an origin, such as app://obsidian.md."
        ),
    )
    compat: Annotated[
        tuple[Annotated[Compat, BeforeValidator(_compat)], ...],
        BeforeValidator(_list, json_schema_input_type=Compat | list[Compat]),
    ] = Field(
        default=(),
        description=(
            "What is done as other programs do it: `get_unload` lets GET /unload let go of models,"
            " as llama-swap has it, where POST alone does otherwise."
        ),
    )
    limits: Annotated[
        GatewayLimits,
        BeforeValidator(_empty_mapping, json_schema_input_type=GatewayLimits | None),
    ] = Field(default=GatewayLimits(), description="What is taken of one client.")
