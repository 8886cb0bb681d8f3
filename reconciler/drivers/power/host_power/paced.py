"""Paced questions to a witness, however often a host is looked at.

A question is a login in the log of a BMC, or a new process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from reconciler.model.facts import Fact
    from reconciler.model.power import Testimony


class Paced:
    """A driver that testifies, asked once in so many seconds; in between it is as it said last."""

    # The kind decides what else it can do.
    def __init__(self, driver: Any, seconds: float) -> None:  # noqa: ANN401
        self._driver, self._seconds = driver, seconds
        self._last: Fact[Testimony] | None = None
        self._until = 0.0

    async def testimony(self) -> Fact[Testimony]:
        """Ask the witness, unless it said something a moment ago."""
        if self._last is not None and anyio.current_time() < self._until:
            return self._last
        told: Fact[Testimony] = await self._driver.testimony()
        self._last, self._until = told, anyio.current_time() + self._seconds
        return told

    def forget(self) -> None:
        """Ask again at the next question: something was done that changes the answer."""
        self._last = None
