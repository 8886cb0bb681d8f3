"""Containers of Proxmox VE for tests: a stand-in for its `pct` on a real LXC."""

from __future__ import annotations

import os
from typing import Literal

from reconciler.model.spec import Kind
from tests.booted import Booted
from tests.lxcs import ROOT, Lxc

PROGRAMS = ROOT / "tests" / "rigs" / "proxmox"
HA = "/etc/pve/ha/resources.cfg"


class Pct(Lxc):
    """A booted host that is a node of Proxmox VE, as far as its containers go."""

    kind: Literal["lxc", "pct"] = "pct"

    def __init__(self, booted: Booted) -> None:
        super().__init__(booted)
        if not booted.path("/etc/pve").exists():
            below = f"lowerdir={PROGRAMS}:/usr/local/bin"
            booted.run("mount", "-t", "overlay", "-o", below, "pct", "/usr/local/bin")
            booted.run("mkdir", "-p", "/etc/pve/lxc", "/etc/pve/ha")

    def name(self, model_name: str) -> str:
        return str(100_000 + os.getpid())

    def launcher(self, model_name: str) -> Kind:
        return Kind(kind="pct", options={"ct": int(self.name(model_name))})

    def lines(self, given: dict[str, str], mounts: list[tuple[str, str, str]]) -> list[str]:
        """Write keys and mounts as Proxmox VE has them in its file."""
        rootfs = given.pop("lxc.rootfs.path")
        named = {"lxc.uts.name": "hostname"}
        lines = [f"{named.get(key, key)}: {value}" for key, value in given.items()]
        for at, (place, target, how) in enumerate(mounts):
            lines.append(f"mp{at}: {place},mp={target}{',ro=1' if how else ''}")
        return [f"rootfs: {rootfs.removeprefix('dir:')},size=8G", *lines]

    def file(self, name: str) -> str:
        return f"/etc/pve/lxc/{name}.conf"

    def add(self, name: str, text: str) -> None:
        """Write more at the beginning of the file of a container."""
        path = self.booted.path(self.file(name))
        path.write_text(text + path.read_text())

    def manage(self, name: str) -> None:
        """Let the cluster start and stop a container."""
        self.booted.write(HA, f"ct: {name}\n\tstate started\n")

    def unmanage(self) -> None:
        """Let the cluster have nothing to do with containers."""
        self.booted.path(HA).unlink(missing_ok=True)
