"""Key scope: how far a key lets a client in."""

from __future__ import annotations

from typing import Literal, TypeAlias

KeyScope: TypeAlias = Literal["infer", "read", "operate", "admin"]
