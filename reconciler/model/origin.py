"""Origin: what started a process, and starts it again when it is ended.

Advice to end it must name that, or it does not work.
"""

from shlex import quote
from typing import Literal

from reconciler.model.names import Value

_STOPS = {
    "docker": "docker stop",
    "podman": "podman stop",
    "containerd": "nerdctl stop",
    "cri-o": "crictl stop",
    "LXC": "lxc-stop -n",
    "Proxmox VE": "pct shutdown",
}
"""For each runtime, the command that a person ends a container with, up to its name."""

ENGINES = ("docker", "podman")
"""Runtimes whose engine tells of their containers."""

SERVICE_NAME = r"^[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.@\\-]+)?\.service$"
SERVICE_NAME_LIMIT = 255
"""What systemd takes for the name of a service that can run: a template is none."""

LXC = ("LXC", "Proxmox VE")
"""Runtimes whose containers LXC tells of."""

ROOT = "root"
_STARTED_AGAIN = {"always", "unless-stopped"}
"""The policies with which docker starts a container that was ended, then or at the next boot."""


class Service(Value):
    """A systemd service, of the system or of a user."""

    name: str
    scope: Literal["system", "user"]

    @property
    def ending(self) -> str:
        """The command that ends it and keeps it from coming back."""
        return (
            f"systemctl {'--user ' if self.scope == 'user' else ''}disable --now {quote(self.name)}"
        )

    def way_out(self, user: str) -> str:
        """How to end it, as a phrase; `user` has to do it where it is a user's own."""
        return f"`{self.ending}`{by(ROOT if self.scope == 'system' else user)} ends it for good"


class Container(Value):
    """A container, its runtime, and the user who runs that.

    `name` is what the runtime's commands take, empty where that is not known; `service` is what
    runs the container, where one is known. `engine` is the socket of the engine that tells of it,
    empty where none does, and `policy` is when that starts it again by itself.
    """

    runtime: str
    name: str = ""
    user: str = ROOT
    service: Service | None = None
    policy: str = ""
    engine: str = ""

    @property
    def shown(self) -> str:
        """It as people speak of it."""
        return f"a container of {self.runtime}{f' ({self.name})' if self.name else ''}"

    @property
    def endings(self) -> tuple[str, ...]:
        """The commands that end it where no service runs it; none without one for its host."""
        stop = _STOPS.get(self.runtime)
        if not stop or not self.name:
            return ()
        stop = f"{stop} {quote(self.name)}"
        # Without its policy a container that was stopped stays away at the next boot too.
        is_kept = self.runtime == "docker" and self.policy in _STARTED_AGAIN
        return (stop, f"docker update --restart=no {quote(self.name)}") if is_kept else (stop,)

    def way_out(self, user: str) -> str:
        """How to end it, as a phrase; `user` has to do it where a user's own service runs it."""
        if self.service is not None:
            return f"it is in {self.shown}, and {self.service.way_out(user)}"
        if self.endings:
            command = " && ".join(self.endings)
            return f"it is in {self.shown}, and `{command}`{by(self.user)} ends it"
        stop = _STOPS.get(self.runtime, "")
        if stop:
            program = stop.partition(" ")[0]
            return (
                f"it listens for {self.shown}: `{program} ps`{by(self.user)} shows which,"
                f" `{stop}` ends that"
            )
        return f"it is in {self.shown}, which starts it again after a kill, so end it there"


class Origin(Value):
    """What starts a process again: its container, the systemd service that it is, or a supervisor.

    A process that was started by hand has none of them.
    """

    service: Service | None = None
    container: Container | None = None
    supervisor: str = ""

    @property
    def by_hand(self) -> bool:
        """Whether it stays away once it was ended."""
        return self.service is None and self.container is None and not self.supervisor

    def way_out(self, user: str) -> str:
        """How to end what something would start again, as a phrase.

        It is empty for what was started by hand. `user` is whose process it is, empty for one's
        own.
        """
        keeper = self.container or self.service
        if keeper is not None:
            return keeper.way_out(user)
        return (
            f"{self.supervisor} starts it again after a kill, so end it there"
            if self.supervisor
            else ""
        )


def by(user: str) -> str:
    """As whom a command must be run, in brackets; empty for oneself."""
    return f" (as {user})" if user else ""
