"""The network of nspawn hosts: a switch in its own namespaces, and the controller's place."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from tests.rigs.hostrig.programs import run

CONTROLLER = "controller"

GATEWAY = "10.77.0.2"
"""The switch itself: it always answers, and leads nowhere."""

GROUPS = Path("/sys/fs/cgroup")

SWITCH = (
    "link set lo up",
    "link add lan type bridge",
    "link set lan up",
    f"addr add {GATEWAY}/24 dev lan",
    f"link add p-{CONTROLLER} type veth peer name eth0 netns {CONTROLLER}",
    f"link set p-{CONTROLLER} master lan up",
    f"-n {CONTROLLER} link set lo up",
    f"-n {CONTROLLER} addr add 10.77.0.1/24 broadcast + dev eth0",
    f"-n {CONTROLLER} link set eth0 up",
    # 255.255.255.255 leaves by the default route.
    f"-n {CONTROLLER} route add default via {GATEWAY}",
)

BURIAL_SECONDS, PAUSE_SECONDS = 5.0, 0.01


class Lan:
    """The switch, in mount, network and process namespaces that this daemon has for itself."""

    prefix = "10.77.0"
    wol_broadcast = "10.77.0.255"
    wol_port = 9

    def __init__(self, token: str) -> None:
        """Make the namespaces look like a systemd with a network; make the rig's control group."""
        if GROUPS.is_mount():
            run("umount", "-R", GROUPS)
        run("mount", "-t", "cgroup2", "none", GROUPS)
        # The hosts' disks are here too: an overlay cannot lie on the overlay that is a container's
        # root.
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
        Path("/run/systemd/system").mkdir(parents=True)
        self.group = GROUPS / token
        self.group.mkdir()
        run("ip", "netns", "add", CONTROLLER)
        for words in SWITCH:
            run("ip", *words.split())

    def close(self) -> None:
        """Remove the control group, which the kernel allows soon after its last process died."""
        with suppress(FileNotFoundError):
            (self.group / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + BURIAL_SECONDS
        while not self._removed() and time.monotonic() < deadline:
            time.sleep(PAUSE_SECONDS)

    def _removed(self) -> bool:
        with suppress(OSError):
            for folder, _, _ in os.walk(self.group, topdown=False):
                Path(folder).rmdir()
        return not self.group.exists()
