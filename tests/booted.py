"""A real systemd for tests, booted as PID 1 of its own namespaces, apart from the machine's."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.needs import need, need_root

if TYPE_CHECKING:
    from collections.abc import Iterator

RIG = Path(__file__).parent / "rigs" / "booted-systemd"
NEEDED = ("systemd-analyze", "systemd-run", "journalctl", "dbus-daemon", "nsenter", "unshare")


class Booted:
    """A booted systemd; `pid` is its PID 1 as this machine counts."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.entering = ("nsenter", "-t", str(pid), "-m", "-p", "-C", "-u", "-i", "--")

    def run(self, *argv: str) -> str:
        """Run a program beside it and return what it said."""
        done = subprocess.run([*self.entering, *argv], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return done.stdout.strip()

    def shows(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("systemctl", "show", "--value", "--property", name, unit)

    def path(self, path: str) -> Path:
        """Return where a file of its own is to be found from here."""
        return Path("/proc", str(self.pid), "root", path.removeprefix("/"))

    def write(self, path: str, text: str) -> None:
        """Write a file of its own."""
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_text(text)

    def define(self, name: str, text: str) -> None:
        """Define a unit, or a drop-in of one, and let systemd know."""
        self.write(f"/run/systemd/system/{name}", text)
        self.run("systemctl", "daemon-reload")


@contextmanager
def booted_systemd() -> Iterator[Booted]:
    """Boot one; it is gone, with all it started, when the context ends."""
    need_root()
    need(*NEEDED)
    with subprocess.Popen([RIG], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as rig:
        assert rig.stdin is not None
        assert rig.stdout is not None
        line = rig.stdout.readline()
        assert line.strip().isdecimal(), f"{RIG} did not boot; what it wrote is above"
        yield Booted(int(line))
        rig.stdin.close()
