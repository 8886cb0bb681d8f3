"""Quantities: sizes, durations and versions as operators write them."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

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
_DURATIONS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_WRITTEN = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]{1,3})")
_LARGEST = 2**62


def expected(phrase: str) -> PydanticCustomError:
    """Return the error that reads `found ..., expected <phrase>`."""
    return PydanticCustomError("expected", "{phrase}", {"phrase": phrase})


def parse_bytes(value: object) -> int:
    """Return a size in bytes from `44 GiB`, `500 MB` or a whole number of bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST:
        return value
    amount = _amount(value, {unit: float(size) for unit, size in _SIZES.items()})
    if amount is None or amount > _LARGEST:
        raise expected('a size with its unit, such as "44 GiB", or a number of bytes')
    return round(amount)


def parse_seconds(value: object) -> float:
    """Return a duration in seconds from `10s`, `2m`, `1.5h` or a number of seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _LARGEST:
        return float(value)
    amount = _amount(value, _DURATIONS)
    if amount is None:
        raise expected('a duration with its unit, such as "10s" or "2m", or a number of seconds')
    return amount


def _amount(value: object, units: dict[str, float]) -> float | None:
    written = _WRITTEN.fullmatch(value.strip()) if isinstance(value, str) else None
    unit = units.get(written[2].lower()) if written else None
    return float(written[1]) * unit if written and unit else None


def _version(value: object) -> object:
    if isinstance(value, str) and value.strip() == "1":
        raise expected("the number 1, without quotes")
    if isinstance(value, bool) or value != 1:
        raise expected("1, the only version that this reconciler reads")
    return value


Version: TypeAlias = Annotated[Literal[1], BeforeValidator(_version, json_schema_input_type=Literal[1])]
Bytes: TypeAlias = Annotated[int, BeforeValidator(parse_bytes, json_schema_input_type=int | str), Field(ge=0)]
Seconds: TypeAlias = Annotated[float, BeforeValidator(parse_seconds, json_schema_input_type=float | str), Field(ge=0)]
