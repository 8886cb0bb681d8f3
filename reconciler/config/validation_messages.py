"""Validation messages: what a schema objects to, in words an operator can act on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args, get_origin

from pydantic import BaseModel, ValidationError

from reconciler.model.names import NAME_PATTERN
from reconciler.model.problem import FileName, KeyPath, Problem, found, nearest, one_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

_SECRET = re.compile(r"pass|secret|token|credential|key")
_UNWRITTEN = {"[key]", "[apart]", "[one]", "[word]", "[secret]"}
"""Parts of a path that nobody wrote: of a key itself, and of a choice that was made by what is
written."""

_ARTICLES = {"valid ": "", "tuple": "list", "boolean": "true or false", "string": "text"}
_MAPPINGS = {
    "dict_type": "a mapping from names to what they are, such as `NAME: {...}`, without dashes",
    "model_type": "a mapping, `KEY: VALUE` on each line, without dashes",
}
_NAME = (
    "up to 63 lower case letters, digits, dots, dashes and underscores, with a letter or digit at"
    " both ends"
)


def problems_of(error: ValidationError, file: FileName, schema: type[BaseModel]) -> list[Problem]:
    """Return every objection of a schema as a problem, with its path from the top of what was validated."""
    return [_problem(details, file, schema) for details in error.errors(include_url=False)]


def path_of(details: ErrorDetails) -> KeyPath:
    """Return where an objection is, of the keys that somebody wrote."""
    return tuple(part for part in details["loc"] if part not in _UNWRITTEN)


def _problem(details: ErrorDetails, file: FileName, schema: type[BaseModel]) -> Problem:
    path = path_of(details)
    if details["type"] == "missing":
        field = keys_at(schema, path[:-1]).get(str(path[-1]))
        described = f"; expected: {field.description}" if field and field.description else ""
        return Problem(file, path, f"is missing{described}", at_key=True)
    if details["type"] == "extra_forbidden":
        keys = keys_at(schema, path[:-1])
        last = str(path[-1])
        return Problem(
            file,
            path,
            f"unknown key{nearest(last, keys) or f'; expected {one_of(keys)}'}",
            at_key=True,
        )
    at_key = "[key]" in details["loc"]
    return Problem(file, path, _sentence(details, path), at_key=at_key)


def _sentence(details: ErrorDetails, path: KeyPath) -> str:
    message = details["msg"]
    if details["type"] == "value_error":
        return message.removeprefix("Value error, ")
    if details["type"] == "too_short":
        return (
            f"has {details['ctx']['actual_length']} entries, expected"
            f" {details['ctx']['min_length']} or more"
        )
    if (
        details["type"] == "string_type"
        and isinstance(details["input"], list)
        and isinstance(path[-1], int)
    ):
        return (
            "found a list in a list, expected text; YAML joins no lists: write its words out here"
        )
    given = "a value" if _is_secret(path) else found(details["input"])
    if details.get("ctx", {}).get("pattern") == NAME_PATTERN:
        return f"found {given}, expected {_NAME}"
    if details["type"] == "model_type" and _is_secret(path):
        return f"found {given}, expected where the secret is, such as `{{from_file: /path}}`"
    if details["type"] in _MAPPINGS:
        below = "; is what belongs to it indented?" if details["input"] is None else ""
        return f"found {given}, expected {_MAPPINGS[details['type']]}{below}"
    return f"found {given}, expected {_plain(message)}"


def _is_secret(path: KeyPath) -> bool:
    """Judge the keys of a driver's options: the names of hosts and models are the operator's."""
    keys = path[2:] if path[:1] in {("hosts",), ("models",)} else path
    return any(_SECRET.search(str(key)) for key in keys)


def _plain(message: str) -> str:
    phrase = re.sub(r"^(?=less|greater)", "a number ", message.removeprefix("Input should be "))
    phrase = re.sub(r"^String should match pattern", "text that matches", phrase)
    phrase = re.sub(r" or instance of \w+|, unable to parse .*", "", phrase)
    for technical, word in _ARTICLES.items():
        phrase = phrase.replace(technical, word)
    return (
        phrase.replace("a true", "true")
        .replace("a text", "text")
        .replace("a integer", "a whole number")
    )


def keys_at(schema: type[BaseModel], path: KeyPath) -> Mapping[str, FieldInfo]:
    """Return the keys that a schema knows at a path, which may name the branches of a union on its way."""
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
