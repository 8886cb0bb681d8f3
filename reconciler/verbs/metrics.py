"""Metrics: what became of requests, and what was done to hosts, since this process began."""

from __future__ import annotations

from itertools import chain

from reconciler import __version__
from reconciler.core.label_bound import LabelBound
from reconciler.core.row_tally import RowTally
from reconciler.model.metrics import MetricFamily, gauged
from reconciler.ports import Doors
from reconciler.verbs.context import Metered


class Meter:
    """Every number there is; rows are read when somebody asks, and each once."""

    def __init__(self, app: Metered, doors: Doors, since: float) -> None:
        """Count what is recorded from a moment on, in seconds of the wall clock."""
        self._journal, self._live, self._doors = app.journal, app.tally, doors
        self._tally, self._bound = RowTally(since), LabelBound()

    async def read(self) -> tuple[MetricFamily, ...]:
        """Read them; raise JournalDamaged or DurabilityError."""
        async for part in self._journal.parts(self._tally.newest):
            for row in part:
                # Who asked at the same time may have read it meanwhile.
                if row.seq > self._tally.newest:
                    self._tally.take(row)
        told = "1 for the version of reconciler that runs."
        built = gauged("build_info", told, ("version",), {(__version__,): 1})
        parts = (self._doors.metrics(), self._tally.families(), self._live.families())
        return tuple(map(self._bound.bounded, (built, *chain.from_iterable(parts))))
