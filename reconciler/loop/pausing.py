"""Pausing: new requests of some models wait for another's turn, and for how long is counted."""

from __future__ import annotations

from collections.abc import Collection

from reconciler.core.live_tally import LiveTally
from reconciler.ports import Clock, Lobby


class Pausing:
    """The pauses of one host's models."""

    def __init__(self, lobby: Lobby, clock: Clock, tally: LiveTally) -> None:
        self._lobby, self._clock, self._tally = lobby, clock, tally
        self._since: dict[str, float] = {}

    def pause(self, model_names: Collection[str]) -> None:
        """Let new requests for these models wait, and no others."""
        self._lobby.pause(model_names)
        self._count(self._since.keys() - model_names)
        for name in model_names:
            self._since.setdefault(name, self._clock.boot())

    def turned(self) -> None:
        """Take that the turn begins: what is stopped for it is waited for no longer."""
        self._count(self._since.keys())

    def _count(self, model_names: Collection[str]) -> None:
        for name in sorted(model_names):
            self._tally.paused(name, self._clock.boot() - self._since.pop(name))
