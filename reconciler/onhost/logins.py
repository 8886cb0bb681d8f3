"""What becomes of a user's processes and services when they log out.

Source: logind.conf(5), loginctl(1), systemd 252.
"""

from __future__ import annotations

import contextlib
import os

from reconciler.onhost import commands

SECONDS = 5.0
LINGERING = "/var/lib/systemd/linger"
_NAMES = ("KillUserProcesses", "KillOnlyUsers", "KillExcludeUsers")
# The manager's own properties are those that `show-user` without a name prints.
_SHOW = ["loginctl", "show-user", *commands.properties(_NAMES)]


def logins(user: str) -> dict[str, bool]:
    """Answer whether logging out ends the user's processes, and whether services outlive it."""
    lingers = os.path.exists(os.path.join(LINGERING, user))
    return {"kills": _kills(user, _settings()), "lingers": lingers}


def _kills(user: str, settings: dict[str, str]) -> bool:
    only, spared = (
        settings.get(name, "").split() for name in ("KillOnlyUsers", "KillExcludeUsers")
    )
    is_meant = user not in spared and (not only or user in only)
    return is_meant and settings.get("KillUserProcesses") == "yes"


def _settings() -> dict[str, str]:
    """Read what logind goes by; nothing where there is none, which ends nothing either."""
    with contextlib.suppress(OSError, commands.Late):
        return commands.pairs(commands.run(_SHOW, SECONDS).out)
    return {}
