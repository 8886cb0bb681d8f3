"""Allowance: how many requests of one key are under way and wait, and whether one more may."""

from __future__ import annotations

from typing import Literal, TypeAlias

from reconciler.gateway.head import Refusal
from reconciler.gateway.keys import Requester

State: TypeAlias = Literal["waits", "is under way", ""]


class Allowance:
    """The requests of one key."""

    def __init__(self) -> None:
        self.in_flight = self.waiting = 0

    def move(self, before: State, state: State) -> None:
        """Count one that was in a state in another one, "" for none."""
        self.waiting += (state == "waits") - (before == "waits")
        self.in_flight += (state == "is under way") - (before == "is under way")

    def refusal(self, requester: Requester, state: State) -> Refusal | None:
        """Why one more is too many, None where it is not."""
        waits = state == "waits"
        now = self.waiting if waits else self.in_flight
        most = requester.waiting if waits else requester.in_flight
        if most is None or now < most:
            return None
        what = "wait" if waits else "are under way"
        return Refusal(429, f"{now} requests of the key {requester.name} {what}, as many as may")


class Allotment:
    """One request's part in the allowance of its key."""

    _state: State = ""
    _is_let = False

    def __init__(self, requester: Requester, allowance: Allowance) -> None:
        self._requester, self._allowance = requester, allowance

    def take(self, *, waits: bool) -> Refusal | None:
        """Wait or go, unless that is too many.

        That is judged when it comes: what has waited is not turned away at the end of it.
        """
        state: State = "waits" if waits else "is under way"
        refusal = None if self._is_let else self._allowance.refusal(self._requester, state)
        if refusal is None:
            self._is_let = True
            self._allowance.move(self._state, state)
            self._state = state
        return refusal

    def end(self) -> None:
        """Count it off."""
        self._allowance.move(self._state, "")
        self._state = ""
