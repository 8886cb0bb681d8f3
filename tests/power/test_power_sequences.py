"""Random wishes and mishaps under a watch, on hosts that really boot: all ends as wanted.

A sequence is made of its seed alone, which is in the name of its test; POWER_SEED begins at another
one.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.rigs.hostrig.client import Mode, modes
from tests.running import until
from tests.sleeping_stack import COMMAND_SECONDS, HOST, SleepingStack
from tests.stack import LEAST_REUSED

FIRST = int(os.environ.get("POWER_SEED", "0"))
SEQUENCES = 40
MOVES = (4, 6)
WITHOUT_WITNESS = 10
"""Of so many sequences one has no witness."""

MOMENT_SECONDS = 0.5
"""How long at most nothing happens between two moves."""

ROUND_SECONDS = 10.0
PACKETS = {"light": 3, "nspawn": 6}
LONG_ANSWER = 300


def courses() -> dict[str, tuple[Mode, int]]:
    """Return all sequences, in turns of what this machine can have."""
    chosen = modes()
    return {
        f"seed {seed}": (chosen[seed % len(chosen)], seed)
        for seed in range(FIRST, FIRST + SEQUENCES)
    }


class Course:
    """A sequence; `held` is what must be remembered, 0 once a mishap may have taken it."""

    def __init__(self, here: SleepingStack, seed: int) -> None:
        self.here, self.rig = here, here.rig
        self.chance = random.Random(seed)  # noqa: S311 - a test must be repeatable
        self.witnessed = bool(seed % WITHOUT_WITNESS)
        self.held, self.cuts, self.shocks = 0, 0, 0
        self.asked: subprocess.Popen[str] | None = None
        self.began = time.monotonic()
        self.before = self.rig.count(HOST)
        if not self.witnessed:
            here.inventory(here.inferring)
        self.wants("on")
        self.process = here.watch()

    def wants(self, power: str, *, enforced: bool = False) -> None:
        self.wish, self.enforced = power, enforced
        self.here.desire(power, more=", enforce: true" if enforced else "")
        self.shocks += 1

    def on(self) -> None:
        self.wants("on")

    def off(self) -> None:
        self.wants("off")

    def talks(self) -> None:
        """Let the conversation grow where a model serves; words to one that starts may be lost."""
        if not self.is_heard() or self.rig.state(HOST) != "on":
            return
        self.hears()
        calm = self.is_settled()
        self.here.conversation += " And then?"
        try:
            said = self.here.talk()
        except AssertionError:
            return
        assert not calm or said["cache_n"] >= LEAST_REUSED * self.held, said
        self.held = said["cache_n"] + said["prompt_n"] if calm else 0

    def is_heard(self) -> bool:
        """Return whether its link is up; without it, a light host stands still."""
        return bool(self.rig.ask("status", HOST)["link"] == "up")

    def is_settled(self) -> bool:
        """Return whether the host is on as wanted, and nobody is at anything."""
        return self.wish == "on" and self.here.reached("on", enforced=self.enforced)

    def asks(self) -> None:
        """Leave somebody with a long answer, who is not to be cut short."""
        if self.held and self.asked is None and self.is_settled() and self.is_heard():
            self.asked = self.here.asking(LONG_ANSWER)

    def hears(self) -> None:
        """Show that an answer came whole."""
        if self.asked is not None:
            _, error = self.asked.communicate(timeout=COMMAND_SECONDS)
            assert self.asked.returncode == 0 or not self.held, error
            self.asked = None

    def cuts_power(self) -> None:
        """Pull the power, which cuts nothing where the host has gone down meanwhile."""
        before = self.rig.count(HOST)["power_cuts"]
        self.rig.cut(HOST)
        self.rig.wait(HOST, "off")
        cuts = self.rig.count(HOST)["power_cuts"] - before
        assert cuts <= 1
        self.cuts += cuts
        self.held, self.shocks = 0, self.shocks + 1

    def presses_the_button(self) -> None:
        """Send it down or up as a person does, who saves nothing."""
        if self.rig.state(HOST) == "off":
            self.rig.on(HOST)
        else:
            self.rig.button(HOST)
            # Or it would still look settled to what comes next; nobody heeds one that was pressed
            # during the boot already.
            with suppress(AssertionError):
                until(lambda: self.rig.state(HOST) != "on", within=ROUND_SECONDS)
            self.held = 0
        self.shocks += 1

    def loses_packets(self) -> None:
        self.rig.fault(HOST, ignore_packets=2)

    def loses_its_link(self) -> None:
        self.rig.link(HOST, "down")

    def has_its_link(self) -> None:
        self.rig.link(HOST, "up")

    def hangs_on_its_way_down(self) -> None:
        self.rig.fault(HOST, shutdown_hang=1)

    def kills_the_watch(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = self.here.watch()
        self.shocks += 1

    def waits(self) -> None:
        """Let the watch do a little, or a lot."""
        rows, more = self.here.rows(), self.chance.randint(0, 8)
        with suppress(AssertionError):
            until(lambda: self.here.rows() >= rows + more, within=MOMENT_SECONDS)

    def looks(self) -> None:
        """Show that no host is said to be off without a reason, or while it is on all the time."""
        boots, on = self.rig.count(HOST)["boots"], self.rig.state(HOST) == "on"
        seen = self.here.status()
        stayed = on and self.rig.state(HOST) == "on" and self.rig.count(HOST)["boots"] == boots
        if seen["power"] == "off":
            assert not stayed, seen
            assert seen["power_evidence"].startswith(
                "proved: " if self.witnessed else "inferred: "
            ), seen
        assert seen["power"] == "unknown" or seen["power_evidence"], seen

    def settles(self) -> None:
        """Show that all becomes as wanted once nothing goes wrong any more."""
        self.rig.heal(HOST)
        self.wants(self.wish, enforced=True)
        try:
            until(self._is_over, within=COMMAND_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.here.watched}") from error
        self.hears()

    def _is_over(self) -> bool:
        """Return whether the newest wish was judged, and is so."""
        assert self.process.poll() is None, self.here.watched
        return self.here.reached(self.wish, enforced=True) and self.rig.state(HOST) == self.wish

    def ends(self) -> None:
        """Show what may not have happened meanwhile."""
        self.here.leave(self.process)
        after = {name: number - self.before[name] for name, number in self.rig.count(HOST).items()}
        assert after["power_cuts"] == self.cuts
        assert after["crashes"] == 0
        rounds = (time.monotonic() - self.began) / ROUND_SECONDS + self.shocks + 1
        assert after["wol_seen"] <= rounds * PACKETS[self.rig.mode], after


MISHAPS: tuple[Callable[[Course], None], ...] = (
    Course.on,
    Course.on,
    Course.off,
    Course.off,
    Course.talks,
    Course.asks,
    Course.cuts_power,
    Course.presses_the_button,
    Course.loses_packets,
    Course.loses_its_link,
    Course.has_its_link,
    Course.hangs_on_its_way_down,
    Course.kills_the_watch,
)


@pytest.mark.parametrize(("rig", "seed"), courses().values(), ids=courses(), indirect=["rig"])
def test_whatever_happens_nothing_is_lost_that_could_be_kept_and_all_ends_as_wanted(
    here: SleepingStack, seed: int
) -> None:
    course = Course(here, seed)
    moves = course.chance.choices(MISHAPS, k=course.chance.randint(*MOVES))
    last = next((move for move in reversed(moves) if move in {Course.on, Course.off}), Course.on)
    # To look costs as much as three moves: once, and where a host is to be off, when that is to be
    # believed.
    look = course.chance.randrange(len(moves)) if last is Course.on else -1
    try:
        until(course.is_settled, within=COMMAND_SECONDS)
        course.talks()
        for number, move in enumerate(moves):
            print(move.__name__)  # noqa: T201 - shown beside what failed
            move(course)
            course.waits()
            if number == look:
                course.looks()
        if not course.witnessed:
            # Nobody can tell that a host is off which was not asked to go down, and such a one is
            # let be.
            course.on()
        course.settles()
        if course.wish == "off":
            course.looks()
        if course.held or course.wish == "on":
            course.wants("on")
            course.settles()
            course.talks()
            assert course.held
        course.ends()
    finally:
        course.process.kill()
        course.process.wait()
