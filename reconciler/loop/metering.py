"""Metering: what the witness of a host reads on its meter, once a pass and beside it."""

from __future__ import annotations

from reconciler.core.live_tally import LiveTally
from reconciler.loop.observer import Observer
from reconciler.model.observed import TESTIMONY
from reconciler.model.spec import PowerDriver, Slice


class Metering:
    """The meter of one host. A witness without one is asked once: a question may be a login."""

    def __init__(self, tally: LiveTally) -> None:
        self._tally = tally
        self._without: PowerDriver | None = None

    async def read(self, observer: Observer, slice_: Slice) -> None:
        """Ask the witness, if there is one that may measure."""
        proof, key = slice_.host.power.proof, TESTIMONY(slice_.host.name)
        if proof is None or proof == self._without:
            return
        seen = await observer.look([key])
        told = seen.value(key)
        self._without = proof if told is not None and told.watts is None else None
        self._tally.saw(slice_.host.name, seen)
