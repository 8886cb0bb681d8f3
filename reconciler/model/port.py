"""Ports of a host: who listens there, and how to end that so that it stays away."""

from reconciler.model.names import Value
from reconciler.model.origin import Origin, by

SYSTEMD = "systemd"


class PortOwner(Origin):
    """The process that listens on a port; its pid is None when we may not know it.

    `user` is empty for a process of the user that asks.
    """

    pid: int | None
    name: str
    model: str | None = None
    user: str = ""

    @property
    def remedy(self) -> str:
        """How to end it so that it stays away: a phrase, with the exact command if there is one."""
        # A socket unit listens in systemd's own name, and starts its service at the first client.
        if self.name == SYSTEMD:
            return (
                "`systemctl list-sockets` shows which socket unit holds it, and `systemctl disable"
                " --now` of that frees it"
            )
        by_hand = "end that" if self.pid is None else f"`kill {self.pid}`{by(self.user)} ends it"
        return self.way_out(self.user) or by_hand


class PortState(Value):
    """Which process listens on a port, or that none does."""

    owner: PortOwner | None = None
