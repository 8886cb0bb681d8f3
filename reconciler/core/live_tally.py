"""Live tally: what this process sees and does that no row says, as metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from reconciler.model.metrics import Histogram, Labels, MetricFamily, timed

APPEND_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class LiveTally:
    """Told by whatever acts, apart from the path of requests."""

    def __init__(self) -> None:
        self._appends = Histogram(APPEND_SECONDS)
        self._pauses = defaultdict[Labels, Histogram](Histogram)

    def appended(self, seconds: float) -> None:
        """Count how long the journal took for a row."""
        self._appends.add(seconds)

    def paused(self, model_name: str, seconds: float) -> None:
        """Count how long new requests of a model waited because it was another one's turn next."""
        self._pauses[model_name,].add(seconds)

    def families(self) -> Iterator[MetricFamily]:
        """All of it."""
        told = "Seconds until a row of the journal was safe on its disk, or had failed."
        yield timed("journal_append_seconds", told, (), {(): self._appends})
        told = "Seconds that new requests of a model waited until what it answered had ended."
        yield timed("turns_paused_seconds", told, ("model",), self._pauses)
