"""Real chance."""

from __future__ import annotations

import random


class SystemRandom:
    """Give chance that spreads waits apart; no secret is made of it."""

    def fraction(self) -> float:
        """Return a number in [0, 1)."""
        return random.random()  # noqa: S311 - it spreads waits
