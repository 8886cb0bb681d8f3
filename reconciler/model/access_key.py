"""Access keys: what lets a client through the gateway, and how far."""

import hashlib
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from reconciler.model.key_scope import KeyScope
from reconciler.model.names import NAME_PATTERN, ModelName, Value

PREFIX = "rk_"
HASH_PATTERN = r"^[0-9a-f]{64}$"
ID_PATTERN = r"^[0-9a-f]{8}$"

KeyName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]


class AccessKey(Value):
    """A key as it is kept: of its secret no more than a hash, which needs no salt for 256 bits.

    `models` are those that it may ask for, any where it names none; `in_flight` and `waiting` how
    many requests of it may be under way and wait; `expires` is in seconds of the wall clock. With
    `wake_on_list` a list of models wakes the hosts that rest, for clients that ask for it to that
    end.
    """

    id: Annotated[str, StringConstraints(pattern=ID_PATTERN)]
    name: KeyName
    sha256: Annotated[str, StringConstraints(pattern=HASH_PATTERN)]
    scopes: Annotated[tuple[KeyScope, ...], Field(min_length=1)]
    models: tuple[ModelName, ...] = ()
    in_flight: Annotated[int, Field(ge=1)] = 16
    waiting: Annotated[int, Field(ge=0)] = 64
    expires: float | None = None
    wake_on_list: bool = False


class KeyRing(Value):
    """All keys, as DATA/keys.json holds them."""

    version: Literal[1] = 1
    keys: tuple[AccessKey, ...] = ()


def written(id_: str, secret: str) -> str:
    """A key as its client sends it."""
    return f"{PREFIX}{id_}_{secret}"


def hashed(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
