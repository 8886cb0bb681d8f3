"""A real sshd on this machine's loopback, with keys of its own, for whoever runs the tests."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests import slow_link
from tests.engine import free_port
from tests.needs import need, program
from tests.running import until

SETTINGS = """
ListenAddress 127.0.0.1
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
"""


class Served(NamedTuple):
    """A daemon that runs: where it keeps its keys, and where it listens."""

    folder: Path
    port: int
    other_port: int
    process: subprocess.Popen[bytes]

    @property
    def config(self) -> Path:
        """Return what ssh needs to get in."""
        return self.folder / "client"

    def logins(self) -> int:
        """Return how often somebody was let in."""
        return (self.folder / "log").read_text().count("Accepted publickey")

    @property
    def known_hosts(self) -> Path:
        """Return the keys of hosts that ssh trusts."""
        return self.folder / "known"

    def move_away(self, seconds: float) -> None:
        """Let all that goes there or comes from there take `seconds` longer, each way."""
        with self.config.open("a") as config:
            config.write(
                f"  ProxyCommand {sys.executable} -I -S {slow_link.__file__} %h %p {seconds}\n"
            )

    def options(self, directory: Path) -> dict[str, Any]:
        """Return the options of an access to this machine through it."""
        return Settings(self.folder, self.port, self.other_port).options(directory)


class Settings(NamedTuple):
    """What a daemon is told: in which folder its keys are, and where it listens."""

    folder: Path
    port: int
    other_port: int

    @property
    def argv(self) -> list[str]:
        """Return the command line of the daemon."""
        return [program("sshd"), "-D", "-e", "-f", str(self.folder / "config")]

    def options(self, directory: Path) -> dict[str, Any]:
        """Return the options of an access through it."""
        return {
            "address": "127.0.0.1",
            "port": self.port,
            "config": str(self.folder / "client"),
            "directory": str(directory),
        }

    def listens(self) -> bool:
        """Return whether the daemon does."""
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def settings(shell_setting: str = "") -> Iterator[Settings]:
    """Lay out a daemon that admits this user by a key; `shell_setting` is added."""
    need("ssh")
    keygen = program("ssh-keygen")
    with tempfile.TemporaryDirectory(prefix="sshd-") as name:
        folder, port, other = Path(name), free_port(), free_port()
        for key in ("host", "id"):
            subprocess.run(
                [keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True
            )
        written = (
            f"Port {port}\nPort {other}\nHostKey {folder}/host\nAuthorizedKeysFile"
            f" {folder}/id.pub\n{SETTINGS}{shell_setting}\n"
        )
        (folder / "config").write_text(written)
        (folder / "client").write_text(
            f"Host *\n  IdentityFile {folder}/id\n  IdentitiesOnly yes\n  UserKnownHostsFile"
            f" {folder}/known\n"
        )
        algorithm, key = (folder / "host.pub").read_text().split()[:2]
        (folder / "known").write_text(
            "".join(f"[127.0.0.1]:{one} {algorithm} {key}\n" for one in (port, other))
        )
        yield Settings(folder, port, other)


@contextmanager
def running(shell_setting: str = "") -> Iterator[Served]:
    """Run a daemon that admits this user by a key; `shell_setting` is added to its settings."""
    if os.getuid() == 0:
        # Where its part without privileges lives; a machine that booted without its service has
        # none.
        Path("/run/sshd").mkdir(exist_ok=True)
    with settings(shell_setting) as told:
        with (told.folder / "log").open("wb") as log:
            process = subprocess.Popen(told.argv, stderr=log, stdin=subprocess.DEVNULL)
        try:
            until(told.listens)
            yield Served(*told, process)
        finally:
            process.terminate()
            process.wait()
