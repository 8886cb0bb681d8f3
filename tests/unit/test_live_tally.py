"""What a process sees and does that no row says."""

from __future__ import annotations

from reconciler.core.live_tally import LiveTally
from reconciler.model import power as seen
from reconciler.model.facts import Fact, Known, Unknown
from reconciler.model.observed import POWER, TESTIMONY, Observed
from reconciler.model.target import Wanted
from reconciler.render.exposition import exposition
from tests.sample_worlds import HOST, PROVENANCE, model, slice_of


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


def test_it_is_told_how_late_the_loop_was() -> None:
    tally = LiveTally()
    tally.lagged(0.004)
    assert {'pass_lag_seconds_bucket{le="0.005"} 1', "pass_lag_seconds_count 1"} <= told(tally)


def test_it_is_told_for_how_long_requests_waited_for_another_models_turn() -> None:
    tally = LiveTally()
    tally.paused("a", 2.0)
    tally.paused("a", 0.0)
    assert {
        'turns_paused_seconds_sum{model="a"} 2',
        'turns_paused_seconds_count{model="a"} 2',
    } <= told(tally)


def files(*names: str) -> Wanted:
    slices = {HOST: slice_of((), *map(model, names))} if names else {}
    return Wanted(slices=slices, provenance=PROVENANCE)


def powered(fact: Fact[seen.Power]) -> Observed:
    return Observed({POWER(HOST): fact})


def metered(watts: float | None, watt_hours: float | None = None) -> Observed:
    said = seen.Testimony(state="on", words="it says so", watts=watts, watt_hours=watt_hours)
    return Observed({TESTIMONY(HOST): Known(said)})


def test_it_is_told_which_models_there_are() -> None:
    tally = LiveTally()
    tally.follows(files("a", "b"))
    tally.follows(files("a"))
    rest = f'host="{HOST}",engine="llamacpp",launcher="process",task="chat"'
    assert told(tally) == {f'model_info{{model="a",{rest}}} 1', "files_usable 1"}


def test_a_host_is_in_one_state_of_power_until_no_file_names_it() -> None:
    tally = LiveTally()
    tally.saw(HOST, powered(Known(seen.Power(state="suspended"))))
    assert told(tally) == {f'power_state{{host="{HOST}",state="suspended"}} 1'}
    tally.saw(HOST, Observed())
    tally.saw(HOST, powered(Unknown("it is silent")))
    assert told(tally) == {f'power_state{{host="{HOST}",state="unknown"}} 1'}
    tally.saw(HOST, metered(40.0))
    tally.follows(files())
    assert told(tally) == {"files_usable 1"}
    tally.unusable()
    assert told(tally) == set()


def test_what_a_host_draws_is_told_as_long_as_its_witness_says_it() -> None:
    tally = LiveTally()
    tally.saw(HOST, metered(40.5, 2.0))
    assert told(tally) == {
        f'watts{{host="{HOST}"}} 40.5',
        f'energy_joules_total{{host="{HOST}"}} 7200',
    }
    tally.saw(HOST, metered(40.5))
    assert told(tally) == {f'watts{{host="{HOST}"}} 40.5'}
    tally.saw(HOST, powered(Known(seen.Power(state="on"))))
    assert f'watts{{host="{HOST}"}} 40.5' in told(tally)
    for silent in (metered(None), Observed({TESTIMONY(HOST): Unknown("it is silent")})):
        tally.saw(HOST, metered(40.5))
        tally.saw(HOST, silent)
        assert not any("watts" in line or "joules" in line for line in told(tally))
