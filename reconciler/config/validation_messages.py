"""Validation messages: what a schema objects to, in words an operator can act on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args, get_origin

from pydantic import BaseModel, ValidationError

from reconciler.config.pattern_words import EXPECTED
from reconciler.model.problem import FileName, KeyPath, Problem, found, nearest, one_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

_SECRET = re.compile(r"pass|secret|token|credential|key")
_UNWRITTEN = {"[key]", "[apart]", "[one]", "[word]", "[secret]"}
"""Parts of a path that are not written: of a key itself, and of a choice that what is written
makes."""

_WORDS = {
    "valid ": "",
    "tuple": "list",
    "boolean": "true or false",
    "string": "text",
    "a true": "true",
    "a text": "text",
    "a integer": "a whole number",
}
"""What pydantic calls things, and how a person would; each is replaced in what the others left."""
_MAPPINGS = {
    "dict_type": "a mapping from names to what they are, such as `NAME: {...}`, without dashes",
    "model_type": "a mapping, `KEY: VALUE` on each line, without dashes",
}


def problems_of(error: ValidationError, file: FileName, schema: type[BaseModel]) -> list[Problem]:
    """Word every objection of a schema, with its path from the top of what was validated."""
    return [_problem(details, file, schema) for details in error.errors(include_url=False)]


def path_of(details: ErrorDetails) -> KeyPath:
    """Find where an objection is, by the keys that are written."""
    return tuple(part for part in details["loc"] if part not in _UNWRITTEN)


def _problem(details: ErrorDetails, file: FileName, schema: type[BaseModel]) -> Problem:
    path = path_of(details)
    of_key = _OF_KEYS.get(details["type"])
    if of_key is not None:
        sentence = of_key(str(path[-1]), keys_at(schema, path[:-1]))
        return Problem(file, path, sentence, at_key=True)
    at_key = "[key]" in details["loc"]
    return Problem(file, path, _sentence(details, path), at_key=at_key)


def _missing(key: str, keys: Mapping[str, FieldInfo]) -> str:
    field = keys.get(key)
    described = field.description if field else ""
    return f"is missing; expected: {described}" if described else "is missing"


def _unknown(key: str, keys: Mapping[str, FieldInfo]) -> str:
    return f"unknown key{nearest(key, keys) or f'; expected {one_of(keys)}'}"


_OF_KEYS = {"missing": _missing, "extra_forbidden": _unknown}


def _sentence(details: ErrorDetails, path: KeyPath) -> str:
    kind, given = details["type"], details["input"]
    if kind == "value_error":
        return details["msg"].removeprefix("Value error, ")
    if kind == "too_short":
        length, least = details["ctx"]["actual_length"], details["ctx"]["min_length"]
        return f"has {length} entries, expected {least} or more"
    # Such as `args: [*shared, --more]`.
    if kind == "string_type" and isinstance(given, list) and isinstance(path[-1], int):
        return (
            "found a list in a list, expected text; YAML joins no lists: write its words out here"
        )
    # What stands at such a key may be the secret itself.
    shown = "a value" if _is_secret(path) else found(given)
    return f"found {shown}, expected {_expected(details, path)}"


def _expected(details: ErrorDetails, path: KeyPath) -> str:
    kind = details["type"]
    pattern = details.get("ctx", {}).get("pattern")
    if pattern in EXPECTED:
        return EXPECTED[pattern]
    if kind == "model_type" and _is_secret(path):
        return "where the secret is, such as `{from_file: /path}`"
    if kind in _MAPPINGS:
        below = "; is what belongs to it indented?" if details["input"] is None else ""
        return f"{_MAPPINGS[kind]}{below}"
    return _plain(details["msg"])


def _is_secret(path: KeyPath) -> bool:
    # Only by the keys of a driver: the names of hosts and models are the operator's.
    keys = path[2:] if path[:1] in {("hosts",), ("models",)} else path
    return any(_SECRET.search(str(key)) for key in keys)


def _plain(message: str) -> str:
    phrase = re.sub(r"^(?=less|greater)", "a number ", message.removeprefix("Input should be "))
    phrase = re.sub(r" or instance of \w+|, unable to parse .*", "", phrase)
    for technical, word in _WORDS.items():
        phrase = phrase.replace(technical, word)
    return phrase


def keys_at(schema: type[BaseModel], path: KeyPath) -> Mapping[str, FieldInfo]:
    """Look up the keys that a schema knows at a path, on which the branches of a union may be."""
    parts = iter(path)
    for part in parts:
        field = schema.model_fields.get(str(part))
        if field and _is_keyed(field.annotation):
            next(parts, None)
        schema = next(_models(field.annotation), schema) if field else schema
    return schema.model_fields


def _is_keyed(annotation: object) -> bool:
    return get_origin(annotation) in {dict, list, tuple} or any(
        _is_keyed(part) for part in get_args(annotation)
    )


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)
