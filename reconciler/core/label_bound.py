"""Label bound: however many names the files have had, so many are told of by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from reconciler.model.metrics import MetricFamily, MetricSample

MOST = 200
OTHER = "other"


class LabelBound:
    """The words that each label has had so far; one that was told by name stays so."""

    # Whoever scrapes keeps a series for each word there ever was, and adds a counter up over them.

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._words = defaultdict[str, set[str]](set)

    def bounded(self, family: MetricFamily) -> MetricFamily:
        """Tell what is beyond the bound together."""
        added = dict[tuple[str, tuple[tuple[str, str], ...]], float]()
        for ending, labels, amount in family.samples:
            key = ending, tuple(self._bounded(labels).items())
            added[key] = added.get(key, 0.0) + amount
        samples = (
            MetricSample(ending, dict(labels), amount) for (ending, labels), amount in added.items()
        )
        return family._replace(samples=tuple(samples))

    def _bounded(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        return {name: self._word(name, word) for name, word in labels.items()}

    def _word(self, label: str, word: str) -> str:
        words = self._words[label]
        if word not in words and len(words) >= self._most:
            return OTHER
        words.add(word)
        return word
