"""A smart plug for tests: a small HTTP server with a relay, a meter and faults.

Its dialects are in tests/rigs/plugs.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from tests.served import served

Fault = Literal["", "500", "404", "silent", "hangs up", "garbage", "list", "empty"]

JSON = "application/json"
NEVER = float("inf")


class Request(NamedTuple):
    """One request, with its target as it was written."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))


class Answer(NamedTuple):
    """One answer."""

    content: Any
    status: int = 200
    kind: str = JSON
    headers: Mapping[str, str] = {}

    @property
    def body(self) -> bytes:
        return (
            self.content.encode()
            if isinstance(self.content, str)
            else json.dumps(self.content, separators=(",", ":")).encode()
        )


class Shown(NamedTuple):
    """What a plug shows, from a moment on."""

    since: float
    relay: bool
    watts: float | None


class Plug:
    """A plug of one dialect: its relay obeys at once, and it shows what was `lag` seconds ago.

    A relay that changes calls `switched`.
    What is plugged in draws what `load` says, where it is set, and otherwise `watts`.
    """

    def __init__(
        self, relay: bool = True, watts: float | None = 85.0, password: str | None = None
    ) -> None:
        self.relay, self.watts = relay, watts
        self.watt_hours = 1500.0
        self.user, self.password = "admin", password
        self.fault: Fault = ""
        self.lag = 0.0
        self.switched: Callable[[bool], None] = lambda _: None
        self.load: Callable[[], float] | None = None
        self.asked: list[Request] = []
        self.switches: list[tuple[float, bool]] = []
        self.port = 0
        self.ended = threading.Event()
        self._history = [Shown(-NEVER, relay, watts)]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def draw(self, watts: float | None) -> None:
        """Let what is plugged in draw so much; None takes the meter away."""
        self.watts = watts
        self._history.append(Shown(time.monotonic(), self.relay, watts))

    def turn(self, on: bool) -> None:
        """Switch, as an order or a finger on the button does."""
        was, self.relay = self.relay, on
        self.switches.append((time.monotonic(), on))
        self._history.append(Shown(time.monotonic(), on, self.watts))
        if was != on:
            self.switched(on)

    @property
    def shown(self) -> Shown:
        """Return what it shows now; no power flows through a relay that is off."""
        at = time.monotonic() - self.lag
        found = [shown for shown in self._history if shown.since <= at][-1]
        return found._replace(watts=0.0) if found.watts is not None and not found.relay else found

    def respond(self, request: Request) -> Answer | None:
        """Return the answer to a request, None for one that breaks off."""
        self.asked.append(request)
        if self.load is not None:
            self.draw(self.load())
        match self.fault:
            case "500":
                return Answer("Internal Server Error", 500, "text/plain")
            case "404":
                # Tasmota's own page repeats what it was asked.
                return Answer(
                    f"File Not Found\n\nURI: {request.target}\nMethod: GET\n", 404, "text/plain"
                )
            case "garbage":
                return Answer("<!DOCTYPE html><title>Router</title>", kind="text/html")
            case "list":
                return Answer([])
            case "empty":
                return Answer({})
            case "silent" | "hangs up":
                if self.fault == "silent":
                    self.ended.wait()
                return None
            case "":
                return self.refusal(request) or self.answer(request)

    def refusal(self, request: Request) -> Answer | None:
        """Return what is said to one who may not ask, None to one who may."""
        raise NotImplementedError

    def answer(self, request: Request) -> Answer:
        """Return what is said to one who may ask."""
        raise NotImplementedError

    def knows_basic(self, request: Request) -> bool:
        """Return whether a request says who asks by RFC 7617."""
        expected = b64encode(f"{self.user}:{self.password}".encode()).decode()
        return self.password is None or request.headers.get("Authorization") == f"Basic {expected}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    plug: Plug

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up."""


class _Asked(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.title(): value for name, value in self.headers.items()}
        answer = self.server.plug.respond(Request(self.command, self.path, headers, body))
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in {
            "Content-Type": answer.kind,
            "Content-Length": str(len(answer.body)),
            **answer.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing of single requests."""


@contextmanager
def serving(plug: Plug, context: ssl.SSLContext | None = None) -> Iterator[None]:
    """Serve a plug on a loopback port, over TLS with a context."""
    server = _Server(("127.0.0.1", 0), _Asked)
    server.plug = plug
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    plug.port = server.server_address[1]
    with served(server):
        try:
            yield
        finally:
            plug.ended.set()
