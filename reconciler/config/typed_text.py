"""Typed text: an unquoted number, true or false is what was typed where text is expected.

So `args: [-ngl, 99, --top-p, .95]` needs no quotes.
"""

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
    """Read a value as its schema; raise ValidationError.

    `typed` knows what was typed at a path of the value.
    """
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        # Only the schema knows where text is expected, so it is asked first.
        words = {path: word for path in _untexted(error) if (word := typed(path)) is not None}
        if not words:
            raise
    return schema.model_validate(_with(value, (), words))


def _untexted(error: ValidationError) -> set[KeyPath]:
    """Find where text was expected and something else found."""
    objections = error.errors(include_url=False)
    return {path_of(one) for one in objections if one["type"] == "string_type"}


def _with(value: JsonValue, at: KeyPath, words: Mapping[KeyPath, str]) -> JsonValue:
    if isinstance(value, dict):
        return {key: _with(part, (*at, key), words) for key, part in value.items()}
    if isinstance(value, list):
        return [_with(part, (*at, index), words) for index, part in enumerate(value)]
    return words.get(at, value)
