"""A real podman beside a booted systemd, of which services are containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.dockers import IMAGE, PROGRAMS
from tests.needs import program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.booted import Booted

CONTAINERS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
netns = "host"
pids_limit = 0
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
EMPTY = """
mkdir -p {0}/empty && cd {0}/empty
mkdir -p usr etc tmp proc sys dev run root opt var
for link in bin lib lib64 sbin; do ln -s usr/$link $link; done
cp /etc/ld.so.cache etc/
tar -c . | podman import -q - {1}
"""


class ServicePodman:
    """A podman that works in a folder, with an image that has no programs of its own."""

    def __init__(self, booted: Booted, folder: Path) -> None:
        program("podman")
        program("crun")
        (folder / "containers.conf").write_text(CONTAINERS)
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\n'
            f'runroot = "{folder}/run"\n'
        )
        (folder / "registries.conf").write_text("unqualified-search-registries = []\n")
        self._booted = booted
        self._variables = [
            f"CONTAINERS_CONF={folder}/containers.conf",
            f"CONTAINERS_STORAGE_CONF={folder}/storage.conf",
            f"CONTAINERS_REGISTRIES_CONF={folder}/registries.conf",
            "XDG_RUNTIME_DIR=/run",
        ]
        self._run("sh", "-euc", EMPTY.format(folder, IMAGE))

    def _run(self, *argv: str) -> str:
        return self._booted.run("env", *self._variables, *argv)

    def __call__(self, *words: str) -> str:
        """Run it, and return what it said."""
        return self._run("podman", *words)

    def unit(self, name: str, argv: Sequence[str], mounts: Sequence[str] = ()) -> str:
        """Write a unit as `podman generate systemd --new` does: its container is removed again."""
        mounted = [word for mount in (*PROGRAMS, *mounts) for word in ("-v", mount)]
        self("create", "--name", name, "--network=host", *mounted, IMAGE, *argv)
        written = self("generate", "systemd", "--new", "--name", name)
        self("rm", name)
        # A control group of its own takes a program in the kernel, which may not be loaded
        # everywhere.
        own = written.replace("--cgroups=no-conmon", "--cgroups=disabled")
        beside = "\n".join(f"Environment={one}" for one in self._variables)
        return own.replace("[Service]", f"[Service]\n{beside}")
