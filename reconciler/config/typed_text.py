"""Typed text: where text is expected, an unquoted number, true or false means what was typed, such as `-ngl, 99` or `.95`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from reconciler.config.validation_messages import path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.model.problem import KeyPath

_Schema = TypeVar("_Schema", bound=BaseModel)


def validated(
    schema: type[_Schema], value: JsonValue, typed: Callable[[KeyPath], str | None]
) -> _Schema:
    """Return a value as its schema; raise ValidationError.

    `typed` knows what was typed at a path of the value.
    """
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        paths = {
            path_of(details)
            for details in error.errors(include_url=False)
            if details["type"] == "string_type"
        }
        words = {path: word for path in paths if (word := typed(path)) is not None}
        if not words:
            raise
    return schema.model_validate(_with(value, (), words))


def _with(value: JsonValue, at: KeyPath, words: Mapping[KeyPath, str]) -> JsonValue:
    """Return a value with text at some of its paths."""
    if isinstance(value, dict):
        return {key: _with(part, (*at, key), words) for key, part in value.items()}
    if isinstance(value, list):
        return [_with(part, (*at, index), words) for index, part in enumerate(value)]
    return words.get(at, value)
