"""Interpolation: the variables in a compose file, put in as compose does.

Source: the compose specification, 12-interpolation; tried with docker-compose 1.29.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import JsonValue

_VARIABLE = re.compile(
    r"\$(?:(?P<escaped>\$)|(?P<plain>\w+)"
    r"|\{(?P<name>\w+)(?:(?P<how>:?[-?+])(?P<word>(?:[^{}]|\{[^{}]*\})*))?\})"
)


class Interpolation(NamedTuple):
    """A value with its variables put in, and the names of those that are set nowhere."""

    value: JsonValue
    unset: frozenset[str]


def interpolated(value: JsonValue, variables: Mapping[str, str]) -> Interpolation:
    """Put variables into every text of a value; keys are left as they are."""
    unset: set[str] = set()
    return Interpolation(_value(value, variables, unset), frozenset(unset))


def _value(value: JsonValue, variables: Mapping[str, str], unset: set[str]) -> JsonValue:
    if isinstance(value, str):
        return _text(value, variables, unset)
    if isinstance(value, list):
        return [_value(one, variables, unset) for one in value]
    if isinstance(value, dict):
        return {key: _value(one, variables, unset) for key, one in value.items()}
    return value


def _text(text: str, variables: Mapping[str, str], unset: set[str]) -> str:
    return _VARIABLE.sub(lambda found: _put_in(found, variables, unset), text)


def _put_in(found: re.Match[str], variables: Mapping[str, str], unset: set[str]) -> str:
    if found["escaped"]:
        return "$"
    name, how = found["plain"] or found["name"], found["how"] or ""
    # With a colon, what is empty counts as not set.
    is_set = bool(variables.get(name)) if ":" in how else name in variables
    if how.endswith("+"):
        return _text(found["word"], variables, unset) if is_set else ""
    if is_set:
        return variables[name]
    if how.endswith("-"):
        return _text(found["word"], variables, unset)
    unset.add(name)
    return ""
