"""A real dockerd as a service of a booted systemd, with an image that has no programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.dockers import IMAGE
from tests.needs import program
from tests.service_podman import EMPTY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.booted import Booted

SOCKET = "/run/docker.sock"
DOCKERD = f"""
for at in etc opt; do
    mkdir -p /run/docker-$at /run/docker-work-$at
    mount -t overlay -o lowerdir=/$at,upperdir=/run/docker-$at,workdir=/run/docker-work-$at $at /$at
done
exec dockerd --data-root {{0}}/data --exec-root /run/dockerd -p /run/dockerd.pid \
    -H unix://{SOCKET} --iptables=false --ip6tables=false --bridge=none
"""
"""It writes below /etc and /opt, which are this machine's."""

UNIT = """[Service]
Type=notify
PrivateMounts=yes
Delegate=yes
Environment=PATH=/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=/bin/sh -eu {0}/dockerd.sh
"""


class ServiceDocker:
    """A dockerd that works in a folder; `client` are the words before a command of it."""

    def __init__(self, booted: Booted, folder: Path) -> None:
        program("dockerd")
        self.client = [program("docker"), "-H", f"unix://{SOCKET}"]
        self._booted = booted
        (folder / "dockerd.sh").write_text(DOCKERD.format(folder))
        booted.define("docker.service", UNIT.format(folder))
        booted.run("systemctl", "start", "docker.service")
        empty = EMPTY.replace("podman import -q -", f"{' '.join(self.client)} import -")
        booted.run("sh", "-euc", empty.format(folder, IMAGE))

    def __call__(self, *words: str) -> str:
        """Ask it as a person would, and return what it said."""
        return self._booted.run(*self.client, *words)

    def kill(self) -> None:
        """End it."""
        self._booted.run("systemctl", "kill", "--signal=KILL", "docker.service")
