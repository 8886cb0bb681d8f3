"""Quantities: numbers, sizes, durations, versions and words as operators write them."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

_SIZES = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_DURATIONS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

# No more digits than fit into 64 bits: of thousands, int() raises an error about itself.
_WRITTEN = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]{1,3})")
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_SHORTENED = re.compile(r"([0-9]{1,9}) ?([km])")
_THOUSANDS = {"k": 2**10, "m": 2**20}
"""As people mean them who write how many tokens a context has."""

_LARGEST = 2**62
SMALLEST_MEMORY = 2**20
"""No model needs less, but for none at all."""

MOST_GIB = 1024
"""A number from here on that forgot its unit counts no GiB."""


class _WholeNumber:
    """A whole number, in quotes or not, that what stands before this in Annotated then judges."""

    def __get_pydantic_core_schema__(
        self, source: object, around: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Parse first."""
        return core_schema.no_info_before_validator_function(parse_whole, around(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, around: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Tell editors that quotes are fine."""
        return {**around(schema), "type": ["integer", "string"], "pattern": "^[-+]?[0-9]{1,18}$"}


WHOLE = _WholeNumber()
"""What makes `Annotated[int, Field(ge=1), WHOLE]` a number that operators write."""

Word: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=r"^[^\x00]*$"),
    WithJsonSchema({"type": ["string", "number", "boolean"], "pattern": r"^[^\x00]*$"}),
]
"""A word of a command line; unquoted numbers, true and false are taken as they were typed."""


def expected(phrase: str) -> PydanticCustomError:
    """The error that reads `found ..., expected <phrase>`."""
    return PydanticCustomError("expected", "{phrase}", {"phrase": phrase})


def parse_whole(value: object) -> int:
    """Read a whole number, also one in quotes.

    `8k` is not one, though the error says which number is meant.
    """
    number = _unquoted(value)
    if isinstance(number, int) and not isinstance(number, bool):
        return number
    raise expected(f"a whole number{_meant(value)}")


def _meant(value: object) -> str:
    short = _SHORTENED.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    return f"; write {int(short[1]) * _THOUSANDS[short[2]]}" if short else ""


def _unquoted(value: object) -> object:
    """Read a whole number out of its quotes, with which it means the same everywhere."""
    return int(value) if isinstance(value, str) and _WHOLE.fullmatch(value.strip()) else value


def parse_bytes(value: object) -> int:
    """Read a size as bytes, from `44 GiB`, `500 MB` or a whole number of bytes."""
    value = _unquoted(value)
    if isinstance(value, int) and _is_number(value):
        return value
    amount = _amount(value, _SIZES)
    if amount is None or amount > _LARGEST:
        raise expected('a size with its unit, such as "44 GiB", or a number of bytes')
    return round(amount)


def parse_memory(value: object) -> int:
    """Read an amount of memory as bytes; a number that forgot its unit is not one."""
    amount = parse_bytes(value)
    if 0 < amount < SMALLEST_MEMORY:
        raise expected(f"at least 1 MiB{_with_unit(value)}")
    return amount


def _with_unit(value: object) -> str:
    number = _unquoted(value)
    if not isinstance(number, int):
        return ""
    # Models are told of in GiB, and nvidia-smi counts in MiB.
    unit = "GiB" if number < MOST_GIB else "MiB"
    return f'; a number without a unit is bytes: write "{number} {unit}"'


def parse_seconds(value: object) -> float:
    """Read a duration as seconds, from `10s`, `2m`, `1.5h` or a number of seconds."""
    value = _unquoted(value)
    if isinstance(value, (int, float)) and _is_number(value):
        return float(value)
    amount = _amount(value, _DURATIONS)
    if amount is None:
        raise expected('a duration with its unit, such as "10s" or "2m", or a number of seconds')
    return amount


def _is_number(value: float) -> bool:
    # To Python, true and false are numbers.
    return not isinstance(value, bool) and 0 <= value <= _LARGEST


def _amount(value: object, units: Mapping[str, float]) -> float | None:
    written = _WRITTEN.fullmatch(value.strip()) if isinstance(value, str) else None
    if written is None:
        return None
    unit = units.get(written[2].lower())
    return None if unit is None else float(written[1]) * unit


def _version(value: object) -> object:
    number = _unquoted(value)
    if isinstance(number, bool) or number != 1:
        raise expected("1, the only version that this reconciler reads")
    return number


Version: TypeAlias = Annotated[
    Literal[1], BeforeValidator(_version, json_schema_input_type=Literal[1, "1"])
]
Bytes: TypeAlias = Annotated[
    int, BeforeValidator(parse_bytes, json_schema_input_type=int | str), Field(ge=0)
]
Memory: TypeAlias = Annotated[
    int, BeforeValidator(parse_memory, json_schema_input_type=int | str), Field(ge=0)
]
Seconds: TypeAlias = Annotated[
    float, BeforeValidator(parse_seconds, json_schema_input_type=float | str), Field(ge=0)
]
