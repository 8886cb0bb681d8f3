"""Metrics: numbers about what was done, by name and labels, as a scrape reads them."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Literal, NamedTuple, TypeAlias

PREFIX = "reconciler_"

Labels: TypeAlias = tuple[str, ...]
MetricKind: TypeAlias = Literal["counter", "gauge", "histogram"]

SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 240.0)
"""Bounds for what may take from one look of the event loop to the longest that clients wait."""


class MetricSample(NamedTuple):
    """One number: what the name ends with, the labels, and how much."""

    ending: str
    labels: Mapping[str, str]
    amount: float


class MetricFamily(NamedTuple):
    """All numbers of one name."""

    name: str
    kind: MetricKind
    what: str
    samples: tuple[MetricSample, ...]


class Histogram:
    """How often something took how long."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self._bounds, self._counts, self._sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, amount: float) -> None:
        """Count one more."""
        self._counts[bisect_left(self._bounds, amount)] += 1
        self._sum += amount

    def samples(self, labels: Mapping[str, str]) -> Iterator[MetricSample]:
        """The numbers, each bucket with all below it."""
        bounds = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        for bound, count in zip(bounds, accumulate(self._counts), strict=True):
            yield MetricSample("_bucket", {**labels, "le": bound}, count)
        yield MetricSample("_sum", labels, self._sum)
        yield MetricSample("_count", labels, sum(self._counts))


def counted(
    name: str, what: str, names: Labels, counts: Counter[Labels] | Mapping[Labels, float]
) -> MetricFamily:
    """What only grows, by the labels of these names."""
    return _family(name, "counter", what, names, counts)


def gauged(name: str, what: str, names: Labels, now: Mapping[Labels, float]) -> MetricFamily:
    """What is so now, by the labels of these names."""
    return _family(name, "gauge", what, names, now)


def timed(
    name: str, what: str, names: Labels, histograms: Mapping[Labels, Histogram]
) -> MetricFamily:
    """How long things took, by the labels of these names."""
    samples = (
        sample
        for labels, histogram in sorted(histograms.items(), key=_by_labels)
        for sample in histogram.samples(_named(names, labels))
    )
    return MetricFamily(PREFIX + name, "histogram", what, tuple(samples))


def _family(
    name: str, kind: MetricKind, what: str, names: Labels, amounts: Mapping[Labels, float]
) -> MetricFamily:
    samples = (
        MetricSample("", _named(names, labels), amount)
        for labels, amount in sorted(amounts.items())
    )
    return MetricFamily(PREFIX + name, kind, what, tuple(samples))


def _by_labels(one: tuple[Labels, Histogram]) -> Labels:
    return one[0]


def _named(names: Iterable[str], labels: Labels) -> dict[str, str]:
    return dict(zip(names, labels, strict=True))
