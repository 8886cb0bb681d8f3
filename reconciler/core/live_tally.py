"""Live tally: what this process sees and does that no row says, as metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from reconciler.model.metrics import Histogram, Labels, MetricFamily, counted, gauged, timed
from reconciler.model.observed import POWER, TESTIMONY, Observed
from reconciler.model.target import Wanted

APPEND_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
JOULES = 3600.0
"""Of one watt hour."""

UNKNOWN = "unknown"
STATES = ("on", "off", "suspended", UNKNOWN)


class LiveTally:
    """Told by whatever acts, apart from the path of requests."""

    def __init__(self) -> None:
        self._appends = Histogram(APPEND_SECONDS)
        self._lags = Histogram(LAG_SECONDS)
        self._pauses = defaultdict[Labels, Histogram](Histogram)
        self._models = dict[Labels, float]()
        self._usable = dict[Labels, float]()
        self._powers = dict[str, str]()
        self._watts, self._joules = dict[Labels, float](), dict[Labels, float]()

    def appended(self, seconds: float) -> None:
        """Count how long the journal took for a row."""
        self._appends.add(seconds)

    def lagged(self, seconds: float) -> None:
        """Count how late the event loop was while a pass was under way."""
        self._lags.add(seconds)

    def paused(self, model_name: str, seconds: float) -> None:
        """Count how long new requests of a model waited because it was another one's turn next."""
        self._pauses[model_name,].add(seconds)

    def follows(self, wanted: Wanted) -> None:
        """Take which hosts and models there are from now on."""
        self._usable[()] = 1
        self._models = {
            (model.name, host, model.engine.kind, model.launcher.kind, model.task): 1
            for host, slice_ in wanted.slices.items()
            for model in slice_.models
        }
        for host in self._powers.keys() - wanted.slices.keys():
            del self._powers[host]
            self._measured(host, None, None)

    def unusable(self) -> None:
        """Take that the files cannot be used as they are."""
        self._usable[()] = 0

    def saw(self, host: str, observed: Observed) -> None:
        """Take what was seen of a host's power, and what its witness measured, where it did."""
        if POWER(host) in observed:
            self._powers[host] = observed.power(host) or UNKNOWN
        if TESTIMONY(host) in observed:
            told = observed.value(TESTIMONY(host))
            watts, hours = (told.watts, told.watt_hours) if told else (None, None)
            self._measured(host, watts, hours)

    def _measured(self, host: str, watts: float | None, watt_hours: float | None) -> None:
        # An old reading is none: what is off would draw as much as when it was on.
        joules = None if watt_hours is None else watt_hours * JOULES
        for kept, now in ((self._watts, watts), (self._joules, joules)):
            kept.pop((host,), None)
            if now is not None:
                kept[host,] = now

    def families(self) -> Iterator[MetricFamily]:
        """All of it."""
        told = "Seconds that the journal took for a row, with its disk, also for one that failed."
        yield timed("journal_append_seconds", told, (), {(): self._appends})
        told = "How late the event loop was while a host was looked at or switched."
        yield timed("pass_lag_seconds", told, (), {(): self._lags})
        told = "Seconds that new requests of a model waited until what it answered had ended."
        yield timed("turns_paused_seconds", told, ("model",), self._pauses)
        told = "1 for the power of a host as it was judged last, 0 for what it was not."
        yield gauged("power_state", told, ("host", "state"), self._in_each_state())
        told = "What a host drew when its witness was asked last."
        yield gauged("watts", told, ("host",), self._watts)
        told = "What the witness of a host has counted since it began to."
        yield counted("energy_joules_total", told, ("host",), self._joules)
        told = "1 while the files can be used as they are, 0 while what they said before counts."
        yield gauged("files_usable", told, (), self._usable)
        what = ("model", "host", "engine", "launcher", "task")
        yield gauged("model_info", "1 for each model that the files name.", what, self._models)

    def _in_each_state(self) -> dict[Labels, float]:
        return {
            (host, one): float(one == state)
            for host, state in self._powers.items()
            for one in STATES
        }
