"""Chance that a test decides."""

from __future__ import annotations

import random


class SeededRandom:
    """Chances that are the same for the same seed."""

    def __init__(self, seed: int = 0) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - a test must be repeatable

    def fraction(self) -> float:
        return self._chance.random()
