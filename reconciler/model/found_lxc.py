"""Found LXC: what starts a server in a container of LXC: the container, or a service in it."""

from shlex import quote
from typing import Literal

from reconciler.model.found_container import KnownContainer


class FoundLxc(KnownContainer):
    """A container of LXC or of Proxmox VE in which the server of a pid runs.

    `service` is the systemd service in it that the server is, empty where the container is started
    and stopped as a whole; `whole`: the server is its init. `definition` is the file that says how
    it is made, and it `boots` with its host.
    """

    pid: int
    kind: Literal["lxc", "pct"]
    service: str
    whole: bool
    definition: str
    boots: bool

    @property
    def container(self) -> str:
        """The container as people speak of it."""
        return f"CT {self.name}" if self.kind == "pct" else f"container {self.name}"

    @property
    def shown(self) -> str:
        """What is started and stopped, as people speak of it."""
        return f"{self.service} in {self.container}" if self.service else self.container

    @property
    def letting_be(self) -> str:
        """What keeps it down when the host boots, as a phrase."""
        if self.service:
            entering = "pct exec" if self.kind == "pct" else "lxc-attach -n"
            return f"`{entering} {self.name} -- systemctl disable {quote(self.service)}`"
        if self.kind == "pct":
            return f"`pct set {self.name} --onboot 0`"
        # A file that is newer than its init is taken for another definition.
        return f"`lxc.start.auto = 0` in {self.definition}, written while it is stopped"
