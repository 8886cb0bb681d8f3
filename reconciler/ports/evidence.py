"""What an effect says of itself: JSON, which is recorded and decides nothing."""

from __future__ import annotations

from typing import TypeAlias

from pydantic import JsonValue

Json: TypeAlias = dict[str, JsonValue]
Evidence: TypeAlias = Json
