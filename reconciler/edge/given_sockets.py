"""Given sockets: what systemd listens at for this process, as sd_listen_fds(3) hands it over."""

from __future__ import annotations

import os
from collections.abc import Mapping

FIRST = 3
UNNAMED = "unknown"


def given_sockets(environment: Mapping[str, str]) -> Mapping[int, str]:
    """The descriptors that are given, each with the name that its .socket unit has for it."""
    count = environment.get("LISTEN_FDS", "")
    # A program that we start inherits the variables, and the descriptors are not its own.
    if environment.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal():
        return {}
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    names += [UNNAMED] * (int(count) - len(names))
    given = {FIRST + at: names[at] or UNNAMED for at in range(int(count))}
    for number in given:
        # No engine may keep one: clients would wait for ever in a socket that nobody reads.
        os.set_inheritable(number, False)
    return given
