"""An unwatched host that goes down while its controller is dead is off, or not known to be."""

from __future__ import annotations

import pytest

from reconciler.core.power import SILENCE_SECONDS
from reconciler.fakes.engine import FakeEngine
from reconciler.fakes.ports import FakeDrivers, FakePower
from reconciler.fakes.world import DOWN_SECONDS
from reconciler.model import power
from reconciler.model.facts import Fact, Saved, Unit
from reconciler.model.records import Retry, ShutdownAccepted, StepDone, StepIntent
from reconciler.model.verdict import HostVerdict
from reconciler.ports import Evidence
from reconciler.steps.shutdown import HANGS_SECONDS
from tests.crash import stories  # noqa: F401 - adds them
from tests.crash.sleepers import is_off
from tests.crash.stage import Stage, serving_a
from tests.crash.story import STORIES, TEA, remembers, wants
from tests.crash.test_every_boundary import STRIDE, moments

LATER = DOWN_SECONDS + 1
UNHEARD = "shutdown, done"
"""The moment when the host has heard, and no row says so yet."""

HEARD = "appended accepted"
"""The moment when a row says so."""


def after_death_at(stage: Stage, call: int | str) -> tuple[Stage, HostVerdict]:
    """Let the controller die at a call, the host go on, and the next controller do what it can."""
    here = stage.copied()
    here.command(call)
    here.world.clock.now += LATER
    _, verdict = here.command()
    assert verdict is not None
    assert here.world.violations == []
    return here, verdict


@pytest.mark.parametrize("jump", [-7 * 86_400.0, 7 * 86_400.0])
def test_a_wall_clock_that_jumps_makes_no_silence_longer_or_shorter(jump: float) -> None:
    stage = STORIES["power_off_unwatched"].begin()
    stage.command(HEARD)
    began, stage.world.clock.ahead = stage.world.clock.now, jump
    stage.ends("applied")
    took = stage.world.clock.now - began
    assert DOWN_SECONDS + SILENCE_SECONDS <= took < DOWN_SECONDS + 2 * SILENCE_SECONDS
    is_off(stage)
    stage.ends("in_sync")


def is_not_known_to_have_heard(stage: Stage) -> bool:
    """Return whether the journal ends between the intent to send the host down and its answer."""
    records = [row.record for row in stage.kept().rows()]
    asked = any(isinstance(record, StepIntent) and record.step == "shutdown" for record in records)
    return asked and not any(isinstance(record, ShutdownAccepted) for record in records)


@pytest.mark.parametrize("name", ["power_off", "power_off_unwatched"])
def test_a_controller_killed_on_the_way_down_ends_with_a_host_that_is_off_or_not_known_to_be(
    name: str,
) -> None:
    stage = STORIES[name].begin()
    honest = 0
    for call in moments(stage):
        here, verdict = after_death_at(stage, call)
        if verdict.outcome == "refused":
            honest += 1
            assert not here.world.watched
            assert is_not_known_to_have_heard(here)
            (reason,) = verdict.reasons
            assert reason.startswith(
                "power box: the host does not answer; whether it heard that it was to go down (run "
            )
            assert reason.endswith(") is not known")
        else:
            assert verdict.outcome in {"applied", "in_sync"}, verdict
            here.ends("in_sync")
        is_off(here)
    assert honest == (1 if name == "power_off_unwatched" else 0), (
        "killed once the host heard, before its answer was written down"
    )


def unheard() -> Stage:
    """A stage where the host heard, went down and is silent, and is not known to have heard."""
    here, verdict = after_death_at(STORIES["power_off_unwatched"].begin(), UNHEARD)
    assert verdict.outcome == "refused"
    return here


def test_what_is_not_known_stays_so_and_nothing_is_done_to_the_host() -> None:
    stage = unheard()
    rows = stage.kept().rows()
    for _ in range(3):
        stage.world.clock.now += 100_000.0
        life, verdict = stage.command()
        assert life.acts == []
        assert verdict is not None
        assert verdict.outcome == "refused"
    assert stage.kept().rows() == rows


def test_a_witness_that_comes_later_ends_the_doubt() -> None:
    stage = unheard()
    stage.world.watched = True
    stage.ends("applied")
    stage.ends("in_sync")
    is_off(stage)


def test_a_host_that_is_switched_on_ends_the_doubt_and_is_shut_down_again() -> None:
    stage = unheard()
    stage.world.reboot()
    stage.ends("applied")
    stage.ends("in_sync")
    is_off(stage)


def test_a_host_of_which_nothing_is_known_can_still_be_woken() -> None:
    stage = unheard()
    wants(stage, "a", power="on").ends("applied")
    remembers(TEA)(stage)


def test_a_host_that_went_down_by_itself_is_not_taken_for_off() -> None:
    stage = Stage()
    stage.world.watched = False
    stage.ends("applied")
    stage.world.cut_power()
    verdict = wants(stage, power="off").ends("refused")
    (reason,) = verdict.reasons
    assert reason.startswith("power box: the host does not answer; nothing says that it is off")


def test_how_a_host_was_seen_to_go_is_remembered_when_its_witness_is_gone() -> None:
    stage = STORIES["power_off"].begin()
    stage.ends("applied")
    stage.world.watched = False
    stage.ends("in_sync")
    (done,) = [
        row.record
        for row in stage.kept().rows()
        if isinstance(row.record, StepDone) and row.record.step == "shutdown"
    ]
    assert done.evidence["seen"] == "its socket says so"


def test_the_silence_of_a_host_says_nothing_while_its_network_is_silent_too() -> None:
    stage = STORIES["power_off_unwatched"].begin()
    stage.world.unseen["canary"] = "10.0.0.1 does not answer"
    verdict = stage.ends("stalled")
    assert "but so is its network: 10.0.0.1 does not answer" in verdict.message
    stage.world.unseen.clear()
    again(stage)
    is_off(stage)


def again(stage: Stage) -> None:
    """Forget that it failed, and bring about what is wanted."""
    stage.kept().append(Retry(host="box"))
    stage.ends("applied")
    stage.ends("in_sync")


def hanging(*, cuts: bool) -> Stage:
    stage = STORIES["power_off"].begin()
    stage.world.descent = "hangs"
    host = stage.wanted.host
    able = host.capabilities.model_copy(update={"can_cut": cuts})
    stage.wanted = stage.wanted.model_copy(
        update={"host": host.model_copy(update={"capabilities": able})}
    )
    return stage


def test_a_host_that_hangs_on_its_way_and_is_seen_to_be_on_is_cut_where_that_is_allowed() -> None:
    stage = hanging(cuts=True)
    life, verdict = stage.command()
    assert verdict is not None
    assert verdict.outcome == "applied"
    assert life.acts[-2:] == ["shutdown", "cut"]
    is_off(stage)


def test_a_host_that_hangs_on_its_way_is_not_cut_where_that_is_not_allowed() -> None:
    stage = hanging(cuts=False)
    life, verdict = stage.command()
    assert verdict is not None
    assert verdict.outcome == "stalled"
    assert "cut" not in life.acts
    assert stage.world.power == "on"


def test_a_host_that_hangs_unseen_is_not_cut() -> None:
    stage = hanging(cuts=True)
    stage.world.watched = False
    life, _ = stage.command()
    assert "cut" not in life.acts
    assert stage.world.violations == []


def test_a_host_that_hangs_once_its_controller_is_killed_is_cut_where_it_surely_heard() -> None:
    stage = hanging(cuts=True)
    for call in moments(stage)[::STRIDE]:
        here, verdict = after_death_at(stage, call)
        if verdict.outcome == "refused":
            assert here.world.hung
            assert here.world.units() == []
            assert is_not_known_to_have_heard(here)
        else:
            assert verdict.outcome in {"applied", "in_sync"}, verdict
            is_off(here)


def awaited(*, cuts: bool = True) -> Stage:
    """Return a stage where a host hangs on its way, and who sent it down was killed."""
    stage = hanging(cuts=cuts)
    stage.command(HEARD)
    stage.world.clock.now += LATER
    return stage


def test_a_host_that_hangs_and_is_only_waited_for_is_not_asked_again_and_is_cut() -> None:
    stage = awaited()
    began = stage.world.clock.boot()
    life, verdict = stage.command()
    assert verdict is not None
    assert (verdict.outcome, life.acts) == ("applied", ["cut"])
    assert stage.world.clock.boot() - began > HANGS_SECONDS
    assert stage.world.violations == []
    assert "await_down box: it hangs; its power will be cut" in stage.said
    is_off(stage)


def test_a_cut_after_a_wait_is_announced_as_what_nothing_takes_back() -> None:
    stage = awaited()
    stage.ends("applied")
    intents = [row.record for row in stage.kept().rows() if isinstance(row.record, StepIntent)]
    assert [(one.step, one.in_doubt) for one in intents[-2:]] == [
        ("await_down", "observable"),
        ("await_down", "irreversible"),
    ]


def test_who_waits_for_a_host_that_hangs_may_be_killed_as_often_as_it_likes() -> None:
    stage = awaited()
    for call in moments(stage)[::STRIDE]:
        here, verdict = after_death_at(stage, call)
        assert verdict.outcome in {"applied", "in_sync"}, verdict
        is_off(here)


def test_a_host_that_hangs_and_is_only_waited_for_is_not_cut_where_that_is_not_allowed() -> None:
    stage = awaited(cuts=False)
    life, verdict = stage.command()
    assert verdict is not None
    assert (verdict.outcome, life.acts) == ("stalled", [])
    assert (
        verdict.message
        == "await_down box: not so after 180 s: power box: on (proved: its socket says so)"
    )


def test_a_host_that_hangs_unseen_and_is_only_waited_for_is_not_cut() -> None:
    stage = awaited()
    stage.world.watched = False
    life, _ = stage.command()
    assert "cut" not in life.acts
    assert stage.world.violations == []


class Visited(FakePower):
    """Let somebody switch the host off and on once it was seen to hang for a while."""

    async def testimony(self) -> Fact[power.Testimony | None]:
        if self.host.life.calls.count("testimony") == 20:
            self.host.world.reboot()
        return await super().testimony()


def test_a_host_that_is_switched_off_and_on_while_it_is_waited_for_is_not_cut() -> None:
    stage = awaited()
    stage.parts = FakeDrivers(power=Visited)
    life, verdict = stage.command()
    assert verdict is not None
    assert (verdict.outcome, life.acts) == ("stalled", [])
    assert verdict.message.startswith(
        "await_down box: it answers and is not going down any more, so its power is not cut"
    )
    assert stage.world.power == "on"


def test_a_host_that_stays_up_after_it_accepted_is_asked_again_by_another_run() -> None:
    stage = STORIES["power_off_unwatched"].begin()
    stage.world.descent = "stays"
    stage.ends("stalled")
    stage.world.descent = "goes"
    again(stage)
    is_off(stage)
    accepted = [
        row.record.run for row in stage.kept().rows() if isinstance(row.record, ShutdownAccepted)
    ]
    assert len(accepted) == len(set(accepted)) == 2


def seemingly(way: str) -> Stage:
    """Have a host that accepted to go down, stayed up, and was silent for long enough."""
    stage = serving_a()
    stage.world.watched, stage.world.descent = False, "stays"
    wants(stage, "a", power=way).ends("stalled")
    stage.world.unseen["contact"] = "its link is lost"
    stage.ends("applied")
    assert stage.world.violations == []
    stage.world.unseen.clear()
    stage.world.descent = "goes"
    return stage


def test_a_host_that_only_seemed_to_be_off_is_sent_down_once_it_answers_in_the_same_boot() -> None:
    stage = seemingly("off")
    stage.ends("applied")
    is_off(stage)
    stage.ends("in_sync")


def test_a_host_that_only_seemed_off_stays_on_while_in_use_and_is_not_forgotten() -> None:
    stage = seemingly("off")
    stage.world.guards = power.Guards(logins=(power.Login(user="ana", place="tty1"),))
    for _ in range(3):
        stage.ends("refused")
    stage.world.guards = power.Guards()
    stage.ends("applied")
    is_off(stage)


def test_a_host_that_sleeps_and_wakes_in_one_boot_is_left_to_who_woke_it() -> None:
    stage = seemingly("suspend")
    stage.ends("in_sync")
    assert stage.world.power == "on"


def test_a_host_that_goes_off_when_it_is_to_sleep_is_waited_for_and_left_off() -> None:
    stage = STORIES["power_off_unwatched"].begin()
    stage.command(HEARD)
    stage.world.clock.now += LATER
    wants(stage, "a", power="suspend").ends("applied")
    is_off(stage)
    stage.ends("in_sync")


@pytest.mark.parametrize("dies_at", [None, *range(0, 60, STRIDE)])
def test_a_model_that_waits_for_its_host_to_be_switched_on_is_called_good_once_it_serves(
    dies_at: int | None,
) -> None:
    stage = STORIES["power_off"].begin()
    stage.command(dies_at)
    stage.world.cut_power()
    wants(stage, "b").ends("in_sync")
    assert stage.world.violations == []
    stage.world.reboot()
    stage.ends("applied")
    assert list(stage.world.serving()) == ["b"]
    assert stage.world.violations == []


class Unplugged(FakeEngine):
    """An engine whose host loses its power at the last step of a switch."""

    async def restore(self, unit: Unit, saved: Saved) -> Evidence:
        """Restore nothing any more."""
        _ = unit, saved
        self.host.world.cut_power()
        return {"slots": []}


def test_a_host_that_goes_down_at_the_end_of_a_switch_has_not_reached_it() -> None:
    stage = serving_a()
    wants(stage, "b").ends("applied")
    stage.parts = FakeDrivers(engine=Unplugged)
    verdict = wants(stage, "a").ends("interrupted")
    assert "waits until it is switched on" in verdict.message
    assert stage.world.violations == []
    stage.parts = FakeDrivers()
    stage.world.reboot()
    stage.ends("applied")
    remembers(TEA)(stage)
