"""What becomes of a user's processes and services when they log out.

Source: logind.conf(5), loginctl(1), systemd 252.
"""

from __future__ import annotations

import os
import subprocess
from typing import Any

SECONDS = 5.0
LINGERING = "/var/lib/systemd/linger"
_NAMES = ("KillUserProcesses", "KillOnlyUsers", "KillExcludeUsers")


def logins(user: str) -> dict[str, bool]:
    """Answer whether logging out ends the user's processes, and whether their services go on without them."""
    settings = _settings()
    only, but = (
        settings.get("KillOnlyUsers", "").split(),
        settings.get("KillExcludeUsers", "").split(),
    )
    kills = (
        settings.get("KillUserProcesses") == "yes"
        and (not only or user in only)
        and user not in but
    )
    return {"kills": kills, "lingers": os.path.exists(os.path.join(LINGERING, user))}


def _settings() -> dict[str, str]:
    """Return what logind goes by; nothing where there is none, which ends nothing either."""
    argv: list[Any] = ["loginctl", "show-user", *(f"--property={name}" for name in _NAMES)]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)
