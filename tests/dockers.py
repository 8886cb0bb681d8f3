"""A real dockerd and a real podman for tests, apart from the machine, whose programs they run."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tests.needs import need, need_root
from tests.running import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[1]
RIGS = ROOT / "tests" / "rigs"
IMAGE = "localhost/empty"
SECONDS = 30.0
PROGRAMS = [
    f"{place}:{place}:ro"
    for place in sorted({"/usr", sys.base_prefix, str(Path(sys.prefix).resolve()), str(ROOT)})
]
"""What a container has of this machine, each at its own path: Python may be elsewhere than in
/usr."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, place: str) -> None:
        super().__init__("docker", timeout=SECONDS)
        self._place = place

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self._place)


class Dockerd:
    """A container engine that listens on `socket`: a dockerd, or a podman by its `command`."""

    def __init__(self, folder: Path, command: str = "docker") -> None:
        self.folder = folder
        self.socket = str(folder / "docker.sock")
        self.command = command

    def end(self, number: signal.Signals) -> None:
        """Send a dockerd a signal that ends it, and wait until it is gone."""
        process = os.pidfd_open(int((self.folder / "dockerd.pid").read_text()))
        with closing(os.fdopen(process)) as ended:
            signal.pidfd_send_signal(process, number)
            assert select.select([ended], [], [], SECONDS)[0], "it is still there"

    def begin(self) -> None:
        """Start a dockerd again that ended, and wait until it answers."""
        (self.folder / "again").touch()
        until(self._answers, SECONDS)

    def _answers(self) -> bool:
        with suppress(OSError):
            self.ask("GET", "/containers/json")
            return True
        return False

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask it something that it does not refuse."""
        with closing(_Connection(self.socket)) as connection:
            words = None if body is None else json.dumps(body)
            connection.request(method, path, words, {"Content-Type": "application/json"})
            response = connection.getresponse()
            said = response.read()
        assert response.status < 400, (method, path, said)
        return json.loads(said) if said.strip() else None

    def state(self, name: str) -> dict[str, Any]:
        """Return what it says of a container's process."""
        state: dict[str, Any] = self.ask("GET", f"/containers/{name}/json")["State"]
        return state

    def create(
        self,
        name: str,
        argv: Sequence[str],
        folder: Path,
        mounts: Sequence[str] = (),
        user: str = "",
        **settings: Any,
    ) -> None:
        """Make a container on the host's network that has this machine's programs, and `folder`.

        `mounts` are further ones. Root runs in it unless a `user` is given.
        """
        self.remove(name)
        host = {
            "NetworkMode": "host",
            "Binds": [*PROGRAMS, f"{folder}:{folder}", *mounts],
            **settings,
        }
        self.ask(
            "POST",
            f"/containers/create?name={name}",
            {
                "Image": IMAGE,
                "User": user,
                "Entrypoint": list(argv),
                "WorkingDir": str(folder),
                "Env": [f"PYTHONPATH={ROOT}"],
                "ExposedPorts": {port: {} for port in settings.get("PortBindings", {})},
                "HostConfig": host,
            },
        )

    def remove(self, name: str) -> None:
        """Take a container away, where there is one."""
        listed = self.ask("GET", "/containers/json?all=1")
        if f"/{name}" in [each for one in listed for each in one["Names"]]:
            self.ask("DELETE", f"/containers/{name}?force=1")


@contextmanager
def dockerd(**settings: str) -> Iterator[Dockerd]:
    """Run a dockerd; it is gone, with all its containers, when the context ends.

    `settings` are variables of its rig.
    """
    need_root()
    need("dockerd", "curl", *(["ip"] if settings else []))
    with _rig("dockerd", settings) as folder:
        yield Dockerd(folder)


@contextmanager
def podman() -> Iterator[Dockerd]:
    """Run podman's service; it is gone, with all its containers, when the context ends."""
    need_root()
    need("podman", "crun", "curl")
    with _rig("podman") as folder:
        yield Dockerd(folder, "podman")


@contextmanager
def _rig(name: str, settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[Path]:
    with subprocess.Popen(
        [RIGS / name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **settings},
    ) as rig:
        assert rig.stdin is not None
        assert rig.stdout is not None
        line = rig.stdout.readline().strip()
        assert line, f"{name} did not come up; what it wrote is above"
        yield Path(line)
        rig.stdin.close()
