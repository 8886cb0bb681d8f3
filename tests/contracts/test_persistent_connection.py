"""Frequent questions share a connection, which ends with them: a BMC counts each as a login."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from reconciler.drivers.power.host_power.deps import Reach
from reconciler.drivers.power.host_power.refusals import Refusals
from reconciler.drivers.power.redfish import Driver, Options
from reconciler.edge import http
from reconciler.edge.clock import SystemClock
from reconciler.edge.http import HttpClient, PersistentConnection
from reconciler.edge.http_reply import HttpFault
from reconciler.edge.loop_scope import LoopScope
from reconciler.errors import DriverError
from reconciler.model.facts import Known
from tests.contracts.power import HOST, NOTHING
from tests.rigs.redfish import SYSTEM, SYSTEMS, self_signed
from tests.served import served

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

WITHIN = 10.0
DOCUMENTS = {
    f"{SYSTEMS}/": {"Members": [{"@odata.id": SYSTEM.rstrip("/")}]},
    SYSTEM: {
        "PowerState": "On",
        "Actions": {"#ComputerSystem.Reset": {"target": f"{SYSTEM}Reset"}},
    },
}


class Server(ThreadingHTTPServer):
    """A BMC that keeps connections open and counts them; no slash at the end is a redirect."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.certificate, key = self_signed(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.root = f"https://127.0.0.1:{self.server_port}"
        self.connections = 0
        self.heard: list[str] = []
        self.open = 0
        self.changed = threading.Condition()
        self.hangs_up_on: set[int] = set()
        """The requests, counted over all connections, that are read and never answered."""

    def counted(self, more: int) -> None:
        with self.changed:
            self.open += more
            self.connections += max(more, 0)
            self.changed.notify_all()

    def all_closed(self) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: not self.open, WITHIN)


class Exchange(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    request: socket.socket

    def setup(self) -> None:
        super().setup()
        self.server.counted(1)

    def finish(self) -> None:
        super().finish()
        self.server.counted(-1)

    def do_GET(self) -> None:
        self.server.heard.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if len(self.server.heard) in self.server.hangs_up_on:
            self.close_connection = True
            return
        if not (self.path.endswith("/") or body):
            self.answer(308, b"<html>Moved</html>", Location=f"{self.path}/")
            return
        self.answer(200, json.dumps(DOCUMENTS.get(self.path, {})).encode())

    def do_POST(self) -> None:
        self.do_GET()

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing of single requests."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    with served(made):
        yield made


def client(server: Server, loop: LoopScope) -> HttpClient:
    """Return a new client, as every question has one, over what is kept."""
    certificate = str(server.certificate)
    kept = loop.one(
        (PersistentConnection, server.root), lambda: PersistentConnection(certificate, loop)
    )
    return HttpClient(certificate=certificate, follows=True, kept=kept)


async def asked(server: Server, loop: LoopScope) -> int:
    return (await client(server, loop).get(f"{server.root}/x/", WITHIN)).status


async def test_a_bmc_is_asked_over_one_connection_by_all_drivers_that_come_and_go(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PW", "x")
    written = {
        "address": server.root,
        "user": "ops",
        "password": {"from_env": "PW"},
        "certificate": str(server.certificate),
    }
    async with LoopScope() as loop:
        for _ in range(5):
            driver = Driver(
                Options.model_validate(written),
                Reach(HOST, NOTHING, NOTHING, Refusals(SystemClock()), loop),
            )
            assert isinstance(await driver.testimony(), Known)
        assert len(server.heard) == 5 * len(["GET Systems", "Systems/", "GET 1", "1/"])
        assert (server.connections, server.open) == (1, 1)
    assert server.all_closed()


async def test_an_order_goes_over_a_connection_of_its_own_and_is_given_once(server: Server) -> None:
    async with LoopScope() as loop:
        assert await asked(server, loop) == 200
        assert (await client(server, loop).post(f"{server.root}/x", {}, WITHIN)).status == 200
        server.hangs_up_on = {3}
        with pytest.raises(HttpFault, match="the connection broke"):
            await client(server, loop).post(f"{server.root}/x", {}, WITHIN)
        assert await asked(server, loop) == 200
    assert server.heard == ["GET /x/", "POST /x", "POST /x", "GET /x/"]
    assert server.connections == 3


async def test_a_server_that_let_go_of_the_connection_is_asked_over_a_new_one(
    server: Server,
) -> None:
    async with LoopScope() as loop:
        assert await asked(server, loop) == 200
        server.hangs_up_on = {2}
        assert await asked(server, loop) == 200
        assert (server.heard, server.connections) == (["GET /x/"] * 3, 2)
        server.hangs_up_on = {4, 5}
        with pytest.raises(HttpFault, match="the connection broke"):
            await asked(server, loop)
        assert await asked(server, loop) == 200
        assert len(server.heard) == 6


def test_drivers_are_made_before_an_event_loop_runs() -> None:
    written = {"address": "bmc.lan", "user": "ops", "password": {"from_env": "PW"}}
    Driver(
        Options.model_validate(written),
        Reach(HOST, NOTHING, NOTHING, Refusals(SystemClock()), LoopScope()),
    )


async def test_one_that_never_answered_is_asked_once(server: Server) -> None:
    server.hangs_up_on = {1}
    async with LoopScope() as loop:
        with pytest.raises(HttpFault, match="the connection broke"):
            await asked(server, loop)
    assert server.heard == ["GET /x/"]


async def test_what_is_not_used_any_more_is_closed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LINGER_SECONDS", 0.2)
    async with LoopScope() as loop:
        assert await asked(server, loop) == 200
        assert await anyio.to_thread.run_sync(server.all_closed)
        assert await asked(server, loop) == 200
        assert server.connections == 2


async def test_the_next_loop_begins_with_a_new_connection_and_after_the_last_there_is_none(
    server: Server,
) -> None:
    loop = LoopScope()
    for connections in (1, 2):
        async with loop:
            assert await asked(server, loop) == 200
            assert server.connections == connections
    with pytest.raises(DriverError, match="this command is ending"):
        await asked(server, loop)
    assert server.all_closed()


async def test_a_certificate_that_was_renewed_is_read_at_the_next_question(
    server: Server, tmp_path: Path
) -> None:
    right = server.certificate.read_bytes()
    wrong, _ = self_signed(tmp_path / "other")
    server.certificate.write_bytes(wrong.read_bytes())
    async with LoopScope() as loop:
        with pytest.raises(HttpFault, match="is not the one in"):
            await asked(server, loop)
        server.certificate.write_bytes(right)
        assert await asked(server, loop) == 200


async def test_many_at_once_are_all_answered_and_one_connection_stays(server: Server) -> None:
    statuses: list[Any] = []

    async def ask(loop: LoopScope) -> None:
        statuses.append(await asked(server, loop))

    async with LoopScope() as loop:
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(ask, loop)
        assert statuses == [200] * 4
        assert await asked(server, loop) == 200
        assert server.connections <= 4
    assert server.all_closed()
