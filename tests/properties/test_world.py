"""Whatever people, clients and the world do to one host, its controller keeps its promises."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from reconciler.fakes.world import Descent
from reconciler.model.power import Guards, Login
from tests.crash.stage import PREPARE
from tests.running import COMPUTING_SECONDS
from tests.world_machine import TROUBLES, Trouble, WorldMachine

POWERED = ("on", "off", "off", "suspend")
DESCENTS: tuple[Descent, ...] = ("goes", "stays", "hangs")
WITNESSES = ((True, True), (True, False), (False, True))
"""Whether a witness watches the power of the host, and can tell sleep from work."""

ANA = Guards(logins=(Login(user="ana", place="tty1"),))
MOMENTS = st.sampled_from((0.0, 5.0, 25.0, 300.0))
"""Seconds that pass while a host goes down or comes up, or long after."""


class PowerMachine(WorldMachine):
    """One controller, and a host that is sent down and woken all day, of which not everybody can
    see whether it is on.
    """

    @initialize(
        enforce=st.booleans(),
        cuts=st.booleans(),
        prepare=st.booleans(),
        witness=st.sampled_from(WITNESSES),
        boots_in=st.sampled_from((1.0, 1.0, 12.0)),
    )
    def begins(
        self,
        *,
        enforce: bool,
        cuts: bool,
        prepare: bool,
        witness: tuple[bool, bool],
        boots_in: float,
    ) -> None:
        self.world.watched, self.world.sees_sleep = witness
        self.world.is_to_be_prepared, self.world.boots_in = prepare, boots_in
        self.enforce = enforce
        able = self.host.capabilities.model_copy(update={"can_cut": cuts})
        self.host = self.host.model_copy(
            update={"capabilities": able, "prepare": PREPARE if prepare else None}
        )
        for _ in ("now", "before"):
            self.want(("a",), None)

    @rule(power=st.sampled_from(POWERED), descent=st.sampled_from(DESCENTS), trouble=TROUBLES)
    def is_to_be(self, power: str, descent: Descent, trouble: Trouble) -> None:
        self.world.descent = descent
        self.want(self.stage.wanted.active or (), power)
        self.applies(trouble)

    @rule(
        guards=st.sampled_from((Guards(), Guards(), ANA)),
        witness=st.sampled_from(WITNESSES),
        seconds=MOMENTS,
    )
    def is_used(self, guards: Guards, witness: tuple[bool, bool], seconds: float) -> None:
        """Let somebody sit down at the host, who switches it off and on when it hangs, or leave
        with its meter.
        """
        self.world.guards = guards
        if guards.reasons and self.world.hung:
            self.world.reboot()
        self.world.watched, self.world.sees_sleep = witness
        self.world.clock.now += seconds

    @rule(at=st.integers(0, 150), seconds=MOMENTS)
    def is_killed(self, at: int, seconds: float) -> None:
        """Let the controller die on the way, and be started again."""
        self.applies(at)
        self.world.clock.now += seconds
        self.applies("")


def test_a_host_that_lost_its_power_when_it_should_have_slept_does_not_stall_for_ever() -> None:
    machine = PowerMachine()
    machine.begins(enforce=False, cuts=False, prepare=False, witness=(False, True), boots_in=1.0)
    machine.is_to_be("suspend", "stays", "")
    machine.suffers("power cut", "a", 20.0)
    machine.is_to_be("off", "stays", "")
    machine.teardown()


OFTEN = settings(
    max_examples=100, stateful_step_count=15, derandomize=True, deadline=None, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.mark.timeout(COMPUTING_SECONDS)
class TestWorld(WorldMachine.TestCase):  # type: ignore[misc, valid-type]
    settings = OFTEN


@pytest.mark.timeout(COMPUTING_SECONDS)
class TestPower(PowerMachine.TestCase):  # type: ignore[misc, valid-type]
    settings = OFTEN
