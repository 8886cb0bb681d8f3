"""Ports of a host: who listens there, and how to end that so that it stays away."""

from __future__ import annotations

from reconciler.model.names import Value
from reconciler.model.origin import Origin, by

SYSTEMD = "systemd"


class PortOwner(Origin):
    """Who listens on a port; the pid is None when nobody may know it.

    The `user` is empty for a process of one's own.
    """

    pid: int | None
    name: str
    model: str | None = None
    user: str = ""

    @property
    def remedy(self) -> str:
        """How to end it so that it stays away, as a phrase with the exact command where there is one."""
        if self.name == SYSTEMD:
            return (
                "`systemctl list-sockets` shows which socket unit holds it, and `systemctl disable"
                " --now` of that frees it"
            )
        return self.way_out(self.user) or (
            f"`kill {self.pid}`{by(self.user)} ends it" if self.pid is not None else "end that"
        )


class PortState(Value):
    """Who listens on a port, or that nobody does."""

    owner: PortOwner | None = None
