"""Metrics: what they add up to, and the text that Prometheus reads."""

from __future__ import annotations

from collections import Counter

from reconciler.model.metrics import Histogram, Labels, counted, gauged, timed
from reconciler.render.exposition import exposition


def test_a_counter_says_what_it_counts_and_hides_nothing_of_a_label() -> None:
    counts: Counter[Labels] = Counter({('a"\\\n', "200"): 2, ("b", "gone"): 1})
    assert exposition([counted("requests_total", "Requests.", ("model", "code"), counts)]) == (
        "# HELP reconciler_requests_total Requests.\n"
        "# TYPE reconciler_requests_total counter\n"
        'reconciler_requests_total{model="a\\"\\\\\\n",code="200"} 2\n'
        'reconciler_requests_total{model="b",code="gone"} 1\n'
    )


def test_a_gauge_without_labels_is_a_bare_number() -> None:
    assert exposition([gauged("up", "It runs.", (), {(): 1.5})]).endswith("\nreconciler_up 1.5\n")


def test_each_bucket_holds_what_is_below_it() -> None:
    took = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        took.add(seconds)
    assert exposition([timed("wait_seconds", "Waits.", ("model",), {("a",): took})]) == (
        "# HELP reconciler_wait_seconds Waits.\n"
        "# TYPE reconciler_wait_seconds histogram\n"
        'reconciler_wait_seconds_bucket{model="a",le="0.1"} 2\n'
        'reconciler_wait_seconds_bucket{model="a",le="1"} 3\n'
        'reconciler_wait_seconds_bucket{model="a",le="+Inf"} 4\n'
        'reconciler_wait_seconds_sum{model="a"} 7.6500000000000004\n'
        'reconciler_wait_seconds_count{model="a"} 4\n'
    )
