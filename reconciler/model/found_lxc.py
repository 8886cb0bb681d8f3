"""Found LXC: what starts a server in a container of LXC: the container, or a service in it."""

from typing import Literal

from reconciler.model.found_container import KnownContainer
from reconciler.model.reason import Reason


class FoundLxc(KnownContainer):
    """A container of LXC or of Proxmox VE in which the server of a pid runs.

    `service` is the systemd service in it that the server is, empty where the container is started
    and stopped as a whole; `whole`: the server is its init. `boots` is what starts it with its
    host, and what ends that.
    """

    pid: int
    kind: Literal["lxc", "pct"]
    service: str
    whole: bool
    boots: Reason

    @property
    def container(self) -> str:
        """The container as people speak of it."""
        return f"CT {self.name}" if self.kind == "pct" else f"container {self.name}"

    @property
    def shown(self) -> str:
        """What is started and stopped, as people speak of it."""
        return f"{self.service} in {self.container}" if self.service else self.container
