"""Checks: what a client must find at a gateway, in an environment that has nothing but the client.

Programs of this folder run as `python -m tests.clients.NAME GATEWAY ENGINE`, with two addresses.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Callable

IDLE_WITHIN = 0.5
"""Seconds until an engine whose client has gone does nothing any more."""

TRIES = 5
LONGEST_SECONDS = 10.0
TOO_LONG = "In chapter one the keeper counts the ships. " * 2000


class Checks:
    """Each method of a client's class that has no underscore in front is something that is so."""

    def __init__(self, gateway: str, engine: str) -> None:
        self._gateway, self._engine = gateway, engine

    def _leaves(self, leave: Callable[[], bool]) -> None:
        """Ask for a long answer and go away, until the engine is soon idle after that.

        More than once, since a busy machine is no fault: `leave` tells whether the engine computed
        when its client went, and was not done before the client had read the first word.
        """
        seconds: list[float] = []
        for _ in range(TRIES):
            was_computing, began = leave(), time.monotonic()
            while self._is_computing():
                assert time.monotonic() < began + LONGEST_SECONDS, "the engine works on"
            seconds.append(time.monotonic() - began)
            if was_computing and seconds[-1] < IDLE_WITHIN:
                return
        raise AssertionError(f"the engine is done at once, or works on: {seconds} s")

    def _is_computing(self) -> bool:
        # The address is that of a test's engine.
        with urllib.request.urlopen(f"{self._engine}/slots") as answer:  # noqa: S310
            return any(slot["is_processing"] for slot in json.load(answer))


def check(checks: Checks) -> int:
    """Check everything, in the order in which it is written; how many things there were."""
    names = [name for name in vars(type(checks)) if not name.startswith("_")]
    for name in names:
        began = time.monotonic()
        getattr(checks, name)()
        sys.stderr.write(f"{name}: {time.monotonic() - began:.2f} s\n")
    return len(names)


def main(kind: type[Checks]) -> None:
    """Run the program of a client."""
    sys.stdout.write(f"{check(kind(*sys.argv[1:]))} things are so\n")
