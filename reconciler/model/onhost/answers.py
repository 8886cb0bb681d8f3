"""What a host answered, read as the value that it should be."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import JsonValue, ValidationError

from reconciler.model.facts import Fact, Known, Unknown

Answer = TypeVar("Answer")


def understood(
    fact: Fact[dict[str, JsonValue]], read: Callable[[dict[str, JsonValue]], Answer], what: str
) -> Fact[Answer]:
    """Read an answer by `read`; Unknown says of `what` that it cannot be understood."""
    if isinstance(fact, Unknown):
        return fact
    try:
        return Known(read(fact.value))
    except ValidationError as error:
        return Unknown(
            f"{what} cannot be understood: {error.error_count()} of its fields are wrong"
        )
    except KeyError as missing:
        return Unknown(f"{what} cannot be understood: it has no {missing}")
