"""A socket that outlives the programs which are given it, as systemd's does: sd_listen_fds(3)."""

from __future__ import annotations

import os
import sys

GIVEN = 3


def main() -> None:
    """Become `python -m reconciler` with the descriptor that the first word names."""
    descriptor, *words = sys.argv[1:]
    os.dup2(int(descriptor), GIVEN)
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http"}
    os.execv(sys.executable, [sys.executable, "-m", "reconciler", *words])  # noqa: S606


if __name__ == "__main__":
    main()
