"""The power demo: one GPU host sleeps, is woken by a packet, serves, and survives a power cut.

Its hosts are real: Debians that boot where this is root, and an sshd that comes and goes elsewhere;
it says which. Run it with `make demo-power`. It ends by itself and leaves nothing behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.needs import Wanting
from tests.rigs.hostrig.client import Rig, plugged
from tests.sleeping_stack import HOST, SleepingStack

COMMAND_SECONDS = 400
LEAST_REUSED = 0.95
MODES = {
    "nspawn": "real hosts: Debian with systemd, booted in a network of their own",
    "light": "light hosts: an sshd of this user that comes and goes",
}


class Show:
    """Tell what happens, and remember whether it went well."""

    def __init__(self, household: SleepingStack, rig: Rig) -> None:
        """Show what becomes of one household."""
        self._household, self._rig = household, rig
        self.well = True

    def say(self, text: str) -> None:
        """Print a line at once."""
        print(text, flush=True)  # noqa: T201 - it is a program for people

    def want(self, power: str) -> None:
        """Write what is wanted, as a person would."""
        self.say(f"\n# desired.yaml: power: {power}, active: tiny")
        self._household.desire(power)

    def reconciler(self, *words: str) -> None:
        """Run one command, shown as it is; where it fails, the show ends."""
        self.say(f"\n$ reconciler {' '.join(words)}")
        argv, folder = self._household.argv(*words), self._household.folder
        environment = {**os.environ, "XDG_STATE_HOME": str(folder / "here")}
        done = subprocess.run(
            argv,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode:
            sys.exit(
                f"\nthe demo ends here: `reconciler {words[0]}` ended with {done.returncode}; the"
                " lines above say why"
            )

    def talk(self) -> tuple[int, int]:
        """Send the conversation, and return how many tokens were remembered and how many read."""
        told = self._household.talk()
        self.say(
            f"\nthe engine on {HOST}: {told['prompt_n']} tokens read, {told['cache_n']} remembered"
            " (its own timings)"
        )
        return told["cache_n"], told["prompt_n"]

    def counters(self) -> None:
        """Print what really happened to the host."""
        count = self._rig.count(HOST)
        wanted = ("boots", "clean_shutdowns", "power_cuts", "wol_seen")
        self.say(
            f"\nthe rig: {HOST} is {self._rig.state(HOST)}; "
            + ", ".join(f"{name} {count[name]}" for name in wanted)
        )

    def goes_on(self) -> None:
        """Check that the conversation goes on where it was."""
        remembered, read = self.talk()
        share = remembered / (remembered + read)
        self.say(
            f"The conversation went on: {remembered} of {remembered + read} tokens were reused"
            f" ({share:.0%})."
        )
        self.well = self.well and share >= LEAST_REUSED


def play(folder: Path) -> bool:
    """Play it in a folder, and return whether everything went as it should."""
    with plugged(folder / "rig", (HOST,)) as rig:
        household = SleepingStack(folder / "home", rig)
        household.inventory(household.inferring)
        show = Show(household, rig)
        show.say(f"{rig.mode}: {MODES[rig.mode]}" + (f" (because {rig.why})" if rig.why else ""))
        show.counters()
        show.want("on")
        show.reconciler("plan")
        show.reconciler("apply", "--yes")
        show.talk()
        show.talk()
        show.want("off")
        show.reconciler("plan")
        show.reconciler("apply", "--yes")
        show.counters()
        show.reconciler("status")
        show.want("on")
        show.reconciler("apply", "--yes")
        show.goes_on()
        show.say(f"\n# somebody pulls the plug of {HOST}")
        rig.cut(HOST)
        rig.wait(HOST, "off")
        show.reconciler("apply", "--yes")
        show.goes_on()
        show.counters()
        show.reconciler("history")
        return show.well


def main() -> int:
    """Play it in a folder of its own, and remove that."""
    folder = Path(tempfile.mkdtemp(prefix="reconciler-demo-power-"))
    try:
        return 0 if play(folder) else 1
    except Wanting as lacking:
        sys.exit(f"no demo {lacking}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
