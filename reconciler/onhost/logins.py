"""What becomes of a user's processes and services when they log out.

Source: logind.conf(5), loginctl(1), systemd 252.
"""

from __future__ import annotations

import os
import subprocess

SECONDS = 5.0
LINGERING = "/var/lib/systemd/linger"
_NAMES = ("KillUserProcesses", "KillOnlyUsers", "KillExcludeUsers")


def logins(user: str) -> dict[str, bool]:
    """Answer whether logging out ends the user's processes, and whether services outlive it."""
    lingers = os.path.exists(os.path.join(LINGERING, user))
    return {"kills": _kills(user, _settings()), "lingers": lingers}


def _kills(user: str, settings: dict[str, str]) -> bool:
    only = settings.get("KillOnlyUsers", "").split()
    spared = settings.get("KillExcludeUsers", "").split()
    is_meant = (not only or user in only) and user not in spared
    return is_meant and settings.get("KillUserProcesses") == "yes"


def _settings() -> dict[str, str]:
    """Read what logind goes by; nothing where there is none, which ends nothing either."""
    wanted = [f"--property={name}" for name in _NAMES]
    # The manager's own properties are those that `show-user` without a name prints.
    argv = ["loginctl", "show-user", *wanted]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)
