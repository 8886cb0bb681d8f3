"""Lobby: the requests for the models of one host, as who keeps the host sees and steers them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import anyio

from reconciler.gateway.seat import Seat
from reconciler.model.lending import Demand, Outlook


class SeatsLobby:
    """The seats of one host, and a bell that rings when what requests want has changed."""

    def __init__(self) -> None:
        self.awaited = 0
        self._seats: dict[str, Seat] = {}
        self._rung = anyio.Event()
        self.trouble = "the host has not been looked at yet"

    def seat(self, seats: Iterable[Seat]) -> None:
        """Take which seats there are."""
        self._seats = {seat.route.model: seat for seat in seats}

    def ring(self) -> None:
        """Take that the demand has changed."""
        self._rung.set()

    def demands(self) -> Mapping[str, Demand]:
        """What requests want of each model now."""
        return {name: seat.demand for name, seat in self._seats.items()}

    def pause(self, model_names: Collection[str]) -> None:
        """Let new requests for these models wait, and no others."""
        for name, seat in self._seats.items():
            seat.pause(paused=name in model_names)

    def refuse(self, reasons: Mapping[str, str]) -> None:
        """Tell requests for these models, while they do not serve, why they would wait in vain."""
        for name, seat in self._seats.items():
            seat.refuse(reasons.get(name, ""))

    def foresee(self, outlooks: Mapping[str, Outlook]) -> None:
        """Take how long what keeps requests from these models lasts, and which of them failed."""
        for name, seat in self._seats.items():
            seat.foresee(outlooks.get(name, Outlook()))

    def estimate(self, seconds: Mapping[str, float]) -> None:
        """Take in how many seconds each model may serve that does not."""
        for name, seat in self._seats.items():
            seat.arrives_in = seconds.get(name, seat.arrives_in)

    def expect(self, model_names: Collection[str]) -> None:
        """Let requests for these models wait and pass, also where the files do not allow it."""
        for name, seat in self._seats.items():
            seat.expect(expected=name in model_names)

    def rest(self, model_names: Collection[str]) -> None:
        """Take which models only a request rouses: their host rests."""
        for name, seat in self._seats.items():
            seat.rests = name in model_names

    def displace(self, model_names: Collection[str]) -> None:
        """Take which models of the files do not come while others are lent in their place."""
        for name, seat in self._seats.items():
            seat.is_displaced = name in model_names

    def explain(self, reasons: Mapping[str, str]) -> None:
        """Take why these models are not there yet, for requests that wait until it is too late."""
        for name, reason in reasons.items():
            if name in self._seats and self._seats[name].identity is None:
                self._seats[name].because = reason

    async def changed(self) -> None:
        """Wait until the demand has changed since the last time."""
        await self._rung.wait()
        self._rung = anyio.Event()

    def report(self, trouble: str) -> None:
        """Take that a pass was made, and why no other model can be brought in ("": nothing)."""
        self.trouble = trouble
