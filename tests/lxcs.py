"""Real containers of LXC for tests, beside a booted systemd; they run this machine's programs."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reconciler.model.spec import Kind
from tests.needs import need

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.booted import Booted

ROOT = Path(__file__).parents[1]
ROOTFS = "/run/empty"
FOLDERS = "mkdir -p usr etc tmp proc sys dev run root opt var"
LINKS = "for link in bin lib lib64 sbin; do ln -sfn usr/$link $link; done"
OVER = "mkdir -p over work; mount -t overlay -o lowerdir=/etc,upperdir=over,workdir=work etc /etc"
SETTINGS = {
    "lxc.net.0.type": "none",
    "lxc.signal.halt": "SIGTERM",
    "lxc.mount.auto": "proc:mixed sys:ro cgroup:mixed",
    "lxc.apparmor.profile": "unconfined",
    "lxc.tty.max": "0",
}

FIRST = 100000
MAPPED = {
    "lxc__idmap": f"u 0 {FIRST} 65536\nlxc.idmap = g 0 {FIRST} 65536",
    # What is there of the kernel's belongs to root, on a network that does too.
    "lxc__mount__auto": "proc:mixed",
}
"""Settings of a container whose users are other ones of its host, root too."""

UNITS = "/run/inner"
INNER = "[Unit]\nRequires=basic.target dbus.service systemd-journald.socket\nAfter=dbus.service\n"
BOOTING = ("--system", "--unit=inner.target", "--log-target=console", "--show-status=no")


def apart(address: str) -> dict[str, str]:
    """Settings of a container with a network of its own, and what it listens at."""
    return {
        "lxc__net__0__type": "veth",
        "lxc__net__0__veth__mode": "router",
        "lxc__net__0__flags": "up",
        "lxc__net__0__ipv4__address": f"{address}/32",
        "lxc__net__0__ipv4__gateway": "dev",
    }


class Lxc:
    """The LXC of a booted host, whose containers have a root of folders and links alone.

    A container is reached by its name in the network that all booted hosts share, so that each
    needs one of its own.
    """

    kind: Literal["lxc", "pct"] = "lxc"

    def __init__(self, booted: Booted) -> None:
        need("lxc-start")
        self.booted = booted
        if not booted.path("/run/over").exists():
            booted.run("sh", "-ec", f"cd /run; {OVER}")
        booted.run("sh", "-ec", f"echo root:{FIRST}:65536 | tee /etc/subuid >/etc/subgid")
        made = f"mkdir -p {ROOTFS}; cd {ROOTFS}; {FOLDERS}; {LINKS}; cp /etc/ld.so.cache etc"
        booted.run("sh", "-ec", made)

    def name(self, model_name: str) -> str:
        """Name the container of a model."""
        return f"{model_name}-{os.getpid()}"

    def launcher(self, model_name: str) -> Kind:
        """Return a model's launcher as in the inventory."""
        return Kind(kind=self.kind, options={"name": self.name(model_name)})

    def speak(self, name: str, argv: Sequence[str]) -> list[str]:
        """Return the command line of a container's init that writes to its console.

        Without it, LXC gives an init no output.
        """
        self.booted.write(f"{ROOTFS}/{name}.sh", f"exec {shlex.join(argv)} >/dev/console 2>&1\n")
        return ["/bin/sh", f"/{name}.sh"]

    def create(
        self,
        name: str,
        argv: Sequence[str],
        folder: Path,
        mounts: Sequence[str] = (),
        **settings: str,
    ) -> None:
        """Make a container on the host's network that has this machine's programs, and `folder`.

        `mounts` are more folders, HOST:CONTAINER, `settings` keys of its file, with __ for a dot.
        """
        self.remove(name)
        # Each at its own path; Python and its packages may be elsewhere than in /usr.
        places = {"/usr", sys.base_prefix, str(Path(sys.prefix).resolve()), str(ROOT)}
        pairs = [(place, place, "ro,") for place in sorted(places)]
        parted = [mount.partition(":") for mount in (f"{folder}:{folder}", *mounts)]
        pairs += [(place, target, "") for place, _, target in parted]
        if settings.keys() & MAPPED.keys():
            pairs = [(self._opened(place), target, how) for place, target, how in pairs]
        given = {
            **SETTINGS,
            "lxc.uts.name": name,
            "lxc.rootfs.path": f"dir:{ROOTFS}",
            "lxc.init.cmd": shlex.join(argv),
            "lxc.init.cwd": str(folder),
            "lxc.console.logfile": str(folder / f"{name}.console"),
            **{key.replace("__", "."): value for key, value in settings.items()},
        }
        self.booted.write(self.file(name), "\n".join([*self.lines(given, pairs), ""]))

    def lines(self, given: dict[str, str], mounts: list[tuple[str, str, str]]) -> list[str]:
        """Write keys and mounts as LXC has them in its file."""
        lines = [f"{key} = {value}" for key, value in given.items()]
        for place, target, how in mounts:
            where = target.removeprefix("/")
            lines.append(f"lxc.mount.entry = {place} {where} none {how}bind,create=dir 0 0")
        return lines

    def create_booting(self, name: str, folder: Path, mounts: Sequence[str] = ()) -> None:
        """Make a container that boots a systemd, whose units are those in UNITS."""
        if not self.booted.path(UNITS).exists():
            self.booted.run("cp", "-a", "/run/systemd/system", UNITS)
            self.booted.write(f"{UNITS}/inner.target", INNER)
        entry = "tmpfs run tmpfs mode=755 0 0"
        self.create(
            name,
            ["/lib/systemd/systemd", *BOOTING],
            folder,
            ["/etc:/etc", f"{UNITS}:/units", *mounts],
            lxc__mount__entry=entry,
            lxc__environment="SYSTEMD_UNIT_PATH=/units",
        )

    def _opened(self, place: str) -> str:
        """Mount a folder where every user of the host can reach it."""
        at = f"/run/open{place}"
        script = f"[ -e {at} ] || {{ mkdir -p {at}; mount --bind {place} {at}; }}"
        self.booted.run("sh", "-ec", script)
        return at

    def map_users(self, folder: Path) -> None:
        """Let containers with users of their own have their root, and write to a folder."""
        owner = f"{FIRST}:{FIRST}"
        self.booted.run("chown", "-R", owner, ROOTFS, str(folder))
        folder.parent.chmod(0o755)

    def file(self, name: str) -> str:
        """Return where the file of a container is."""
        return f"/var/lib/lxc/{name}/config"

    def pid(self, name: str) -> int:
        """Return the pid of a container's init as its host counts, 0 where none runs."""
        is_known = self.booted.path(f"/var/lib/lxc/{name}/config").exists()
        return int(self.booted.run("lxc-info", "-n", name, "-p", "-H") or 0) if is_known else 0

    def remove(self, name: str) -> None:
        """Take a container away, where there is one."""
        if self.booted.path(self.file(name)).exists():
            if self.pid(name):
                self.booted.run("lxc-stop", "-n", name, "-k")
            self.booted.run("rm", "-rf", f"/var/lib/lxc/{name}", self.file(name))
