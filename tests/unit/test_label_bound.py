"""Labels stay bounded, however often the files are edited."""

from __future__ import annotations

from reconciler.core.label_bound import LabelBound
from reconciler.model.metrics import Histogram, Labels, counted, timed
from reconciler.render.exposition import exposition


def test_what_is_beyond_the_bound_is_told_together_and_what_was_told_by_name_stays_so() -> None:
    bound = LabelBound(2)
    counts: dict[Labels, float] = {("b", "x"): 1, ("c", "x"): 2}
    bound.bounded(counted("n_total", "Some.", ("model", "host"), counts))
    counts |= {("a", "x"): 4, ("d", "x"): 8}
    told = exposition([bound.bounded(counted("n_total", "Some.", ("model", "host"), counts))])
    assert told.splitlines()[2:] == [
        'reconciler_n_total{model="other",host="x"} 12',
        'reconciler_n_total{model="b",host="x"} 1',
        'reconciler_n_total{model="c",host="x"} 2',
    ]


def test_times_that_are_told_together_are_those_of_one_histogram() -> None:
    took: dict[Labels, Histogram] = {}
    for number, name in enumerate("abc"):
        took[name,] = Histogram((0.5, 1.5))
        took[name,].add(number)
    bound = LabelBound(3)
    bound.bounded(counted("n_total", "Some.", ("model",), {("a",): 1}))
    bound.bounded(counted("n_total", "Some.", ("model",), {("x",): 1, ("y",): 1}))
    told = exposition([bound.bounded(timed("wait_seconds", "Waits.", ("model",), took))])
    assert told.splitlines()[7:] == [
        'reconciler_wait_seconds_bucket{model="other",le="0.5"} 0',
        'reconciler_wait_seconds_bucket{model="other",le="1.5"} 1',
        'reconciler_wait_seconds_bucket{model="other",le="+Inf"} 2',
        'reconciler_wait_seconds_sum{model="other"} 3',
        'reconciler_wait_seconds_count{model="other"} 2',
    ]
