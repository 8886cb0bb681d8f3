"""Events: what streams of them have in common: when one lives, and how one ends with an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.errors import ReconcilerError

BEAT_SECONDS = 10.0
"""After so long without an event a comment shows that the stream lives."""


def ended(error: ReconcilerError) -> bytes:
    """The event that says why no more come."""
    said = json.dumps({"message": error.message, "type": error.reason})
    return f"event: error\ndata: {said}\n\n".encode()
