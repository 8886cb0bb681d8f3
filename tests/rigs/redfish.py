"""A BMC for a rig's hosts that speaks Redfish: the emulator of sushy-tools, with TLS and logins.

On really boots a host of the rig, GracefulShutdown presses its power button, ForceOff pulls its
plug. Without a rig the emulator's own systems stand for hosts, which take seconds to do what was
accepted.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.needs import program
from tests.rigs.hostrig.client import Rig
from tests.served import served

CHECKOUT = Path(__file__).parents[2]
USER = "operator"
SYSTEMS = "/redfish/v1/Systems"
SYSTEM = f"{SYSTEMS}/1/"
ALL = ["On", "ForceOff", "GracefulShutdown"]
VERBS = {"On": "on", "ForceOn": "on", "GracefulShutdown": "button", "ForceOff": "cut"}
ROUNDS = 4
"""How hard the password's digest is to guess; the least that bcrypt allows is fast."""


@dataclass(frozen=True)
class Setup:
    """What the emulator is, as it is told."""

    folder: str
    names: list[str]
    rig: str
    certificate: str
    key: str
    passwords: str


@dataclass(frozen=True)
class Bmc:
    """Where an emulator is, and what it shows."""

    address: str
    certificate: str


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Make a certificate that nobody signed, and its key."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
    words = [program("openssl"), "req", "-x509", *curve, "-nodes", "-days", "2", "-subj", "/CN=bmc"]
    subprocess.run([*words, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


@contextmanager
def emulated(
    folder: Path, password: str, names: Sequence[str] = ("gpu1",), rig: Rig | None = None
) -> Iterator[Bmc]:
    """Be the BMC of these hosts."""
    import bcrypt  # noqa: PLC0415  only who has such a BMC pays for it

    certificate, key = self_signed(folder)
    passwords = folder / "passwords"
    passwords.write_text(
        f"{USER}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(ROUNDS)).decode()}\n"
    )
    setup = Setup(
        str(folder),
        list(names),
        str(rig.folder) if rig else "",
        str(certificate),
        str(key),
        str(passwords),
    )
    with (folder / "bmc.log").open("ab") as log:
        bmc = subprocess.Popen(
            [sys.executable, "-m", "tests.rigs.redfish", json.dumps(asdict(setup))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=CHECKOUT, text=True,
        )  # fmt: skip
    with bmc:
        assert bmc.stdout is not None
        port = bmc.stdout.readline().strip()
        assert port, (folder / "bmc.log").read_text()
        yield Bmc(f"127.0.0.1:{port}", str(certificate))


def serve(setup: Setup) -> None:
    """Run the emulator until whoever started it lets go of it."""
    from sushy_tools.emulator import main  # type: ignore[import-untyped]  # noqa: PLC0415  other processes do without it
    from sushy_tools.emulator.resources.systems import fakedriver  # type: ignore[import-untyped]  # noqa: PLC0415
    from werkzeug.serving import make_server  # noqa: PLC0415

    if setup.rig:
        fakedriver.FakeDriver = _wired(fakedriver.FakeDriver, Rig(Path(setup.rig), "light", "", ""))
    main.app.configure(
        extra_config={
            "SUSHY_EMULATOR_FAKE_DRIVER": True,
            "SUSHY_EMULATOR_STATE_DIR": setup.folder,
            "SUSHY_EMULATOR_AUTH_FILE": setup.passwords,
            "SUSHY_EMULATOR_FAKE_SYSTEMS": [
                {"uuid": f"system-{name}", "name": name, "power_state": "Off", "nics": []}
                for name in setup.names
            ],
        }
    )
    server = make_server(
        "127.0.0.1", 0, main.app, threaded=True, ssl_context=(setup.certificate, setup.key)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.port, flush=True)  # noqa: T201 - whoever started this waits for it
    sys.stdin.read()


def _wired(emulators: Any, rig: Rig) -> Any:
    class Wired(emulators):  # type: ignore[misc]
        def get_power_state(self, identity: str) -> str:
            return "Off" if rig.state(self.name(identity)) == "off" else "On"

        def set_power_state(self, identity: str, state: str) -> None:
            rig.ask(VERBS[state], self.name(identity))

    return Wired


class Faulty(ThreadingHTTPServer):
    """Answers as it is told; what it accepts, it does not do."""

    daemon_threads = True

    def __init__(self, certificate: Path, key: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.bmc = Bmc(f"127.0.0.1:{self.server_port}", str(certificate))
        self.state: str | None = "Off"
        self.allowed: list[str] | None = ALL
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.more: dict[str, object] = {}
        """Documents of its own."""
        self.heard: list[str] = []
        self.slash = 0
        """The status by which it sends whoever leaves out the slash at the end of a path."""
        self.root = ""
        """What its redirects begin with: nothing, or a URL."""
        self.answering = threading.Event()
        self.answering.set()
        self.on_reset: Callable[[], None] = lambda: None

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up."""

    def known(self, path: str) -> str:
        """Return the path under which a document is known, with or without a slash at the end."""
        return path.rstrip("/") if path.rstrip("/") == SYSTEMS else path

    def documents(self) -> dict[str, object]:
        reset: dict[str, object] = {"target": f"{SYSTEM}Actions/ComputerSystem.Reset"}
        if self.allowed is not None:
            reset["ResetType@Redfish.AllowableValues"] = self.allowed
        return {
            SYSTEMS: {"Members": [{"@odata.id": SYSTEM}]},
            SYSTEM: {"PowerState": self.state, "Actions": {"#ComputerSystem.Reset": reset}},
            **self.more,
        }


class Answering(BaseHTTPRequestHandler):
    server: Faulty

    def do_GET(self) -> None:
        self.server.heard.append(f"GET {self.path}")
        if self.server.slash and not self.path.endswith("/"):
            return self.answer(
                self.server.slash, b"<html>Moved</html>", Location=f"{self.server.root}{self.path}/"
            )
        status, body = self.server.answers.get(
            "GET", (200, json.dumps(self.server.documents()[self.server.known(self.path)]).encode())
        )
        return self.answer(status, body)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.heard.append(body["ResetType"])
        self.server.on_reset()
        self.answer(*self.server.answers.get("POST", (202, b"")))

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.server.answering.wait()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is http.server's
        pass


@contextmanager
def serving(server: Faulty) -> Iterator[Faulty]:
    with served(server):
        try:
            yield server
        finally:
            server.answering.set()


if __name__ == "__main__":
    serve(Setup(**json.loads(sys.argv[1])))
