"""Key scope: how far a key lets a client in."""

from typing import Literal, TypeAlias

KeyScope: TypeAlias = Literal["infer", "read", "operate", "admin"]
