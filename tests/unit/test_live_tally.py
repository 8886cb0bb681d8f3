"""What a process sees and does that no row says."""

from __future__ import annotations

from reconciler.core.live_tally import LiveTally
from reconciler.render.exposition import exposition


def told(tally: LiveTally) -> set[str]:
    """What is said, without what is zero."""
    lines = exposition(tally.families()).splitlines()
    return {
        line.removeprefix("reconciler_") for line in lines if line[0] != "#" and line[-2:] != " 0"
    }


def test_it_is_told_how_long_rows_took() -> None:
    tally = LiveTally()
    tally.appended(0.02)
    tally.appended(7.0)
    assert {
        'journal_append_seconds_bucket{le="0.025"} 1',
        'journal_append_seconds_bucket{le="5"} 1',
        "journal_append_seconds_sum 7.0199999999999996",
        "journal_append_seconds_count 2",
    } <= told(tally)


def test_it_is_told_for_how_long_requests_waited_for_another_models_turn() -> None:
    tally = LiveTally()
    tally.paused("a", 2.0)
    tally.paused("a", 0.0)
    assert {
        'turns_paused_seconds_sum{model="a"} 2',
        'turns_paused_seconds_count{model="a"} 2',
    } <= told(tally)
