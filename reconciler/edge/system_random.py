"""Real chance."""

from __future__ import annotations

import random


class SystemRandom:
    """Chance that spreads waits apart; no secret is made of it."""

    def fraction(self) -> float:
        """Draw a number in [0, 1)."""
        return random.random()  # noqa: S311 - it spreads waits
