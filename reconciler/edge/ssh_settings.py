"""SSH settings: what must be so whatever the user's configuration says.

Source: ssh_config(5) of OpenSSH 9.2.
"""

from __future__ import annotations

from collections.abc import Mapping

CONNECT_SECONDS = 15.0

SETTINGS = (
    "BatchMode=yes", "StrictHostKeyChecking=yes", f"ConnectTimeout={CONNECT_SECONDS - 5:.0f}",
    "ServerAliveInterval=5", "ServerAliveCountMax=3", "ControlPersist=no",
    "ClearAllForwardings=yes", "RemoteCommand=none", "PermitLocalCommand=no", "RequestTTY=no",
    "ForwardAgent=no", "ForwardX11=no", "LogLevel=ERROR", "EscapeChar=none",
)  # fmt: skip

NEWER = {
    "stdinnull": "no",
    "sessiontype": "default",
    "forkafterauthentication": "no",
    "channeltimeout": "none",
}
"""What else must be so, of settings that not every client knows (8.7 and later; 9.4). One that does
names them among those in effect. They are given to no other, which would refuse them by name."""


def settings(socket: str, told: Mapping[str, str]) -> tuple[str, ...]:
    """Spell the settings of the master at a control socket; `told` are those in effect."""
    of_master = ("ControlMaster=yes", f"ControlPath={socket}")
    chosen = (*SETTINGS, *newer(told), *of_master)
    return tuple(word for setting in chosen for word in ("-o", setting))


def newer(told: Mapping[str, str]) -> list[str]:
    """List the settings that this client knows and has otherwise than they must be."""
    return [f"{name}={value}" for name, value in NEWER.items() if told.get(name, value) != value]
