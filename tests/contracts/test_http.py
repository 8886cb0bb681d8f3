"""Servers that are neither a yes nor a no: redirects, certificates and protocols, in words."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, TypeAlias

import pytest

from reconciler.edge.http import MOST_HOPS, HttpClient
from reconciler.edge.http_reply import HttpFault
from tests.rigs.redfish import self_signed
from tests.served import served

if TYPE_CHECKING:
    from pathlib import Path

Way: TypeAlias = Callable[[str], tuple[int, str]]
"""Takes a path, and gives a status and where to go."""

SECONDS = 10.0


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, way: Way, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.way, self.heard = way, list[tuple[str, str, str | None]]()
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.root = f"{'http' if context is None else 'https'}://127.0.0.1:{self.server_port}"


class Exchange(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.heard.append((self.command, self.path, self.headers.get("Authorization")))
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, location = self.server.way(self.path)
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing of single requests."""


@contextmanager
def serving(way: Way, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(way, context)
    with served(server):
        yield server


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, key)
    return made


def to(place: str, status: int = 301) -> Way:
    return lambda path: (status, place) if path == "/a" else (200, "")


CLIENT = {"Authorization": "Basic b3BzOng="}


async def test_a_plain_server_that_went_over_to_https_is_followed_there_with_its_certificate(
    tmp_path: Path,
) -> None:
    certificate, key = self_signed(tmp_path)
    with serving(to(""), context(certificate, key)) as safe, serving(to(f"{safe.root}/b")) as plain:
        reply = await HttpClient(CLIENT, certificate=str(certificate), follows=True).get(
            f"{plain.root}/a", SECONDS
        )
        assert (reply.status, reply.text) == (200, "ok")
        assert safe.heard == [("GET", "/b", CLIENT["Authorization"])]
        with pytest.raises(HttpFault) as caught:
            await HttpClient(CLIENT, follows=True).get(f"{plain.root}/a", SECONDS)
    assert caught.value.unheard
    assert len(safe.heard) == 1


async def test_a_client_that_does_not_follow_says_where_it_is_sent() -> None:
    with serving(to("/b?token=s3cret")) as server:
        reply = await HttpClient().get(f"{server.root}/a", SECONDS)
    assert (reply.status, reply.excerpt) == (301, f"go to {server.root}/b")


@pytest.mark.parametrize(
    ("status", "arrives"), [(307, True), (308, True), (301, False), (302, False), (303, False)]
)
async def test_what_is_sent_goes_on_only_where_it_may_be_sent_again(
    status: int, *, arrives: bool
) -> None:
    with serving(to("/b", status)) as server:
        reply = await HttpClient(follows=True).post(
            f"{server.root}/a", {"ResetType": "On"}, SECONDS
        )
    assert reply.status == (200 if arrives else status)
    assert [(method, path) for method, path, _ in server.heard] == [("POST", "/a"), ("POST", "/b")][
        : 1 + arrives
    ]


async def test_a_circle_ends() -> None:
    with serving(lambda _: (302, "/a")) as server:
        reply = await HttpClient(follows=True).get(f"{server.root}/a", SECONDS)
    assert (reply.status, reply.excerpt) == (302, f"go to {server.root}/a")
    assert len(server.heard) == 1 + MOST_HOPS


async def test_a_redirect_to_nowhere_is_an_answer() -> None:
    with serving(to("")) as server:
        reply = await HttpClient(follows=True).get(f"{server.root}/a", SECONDS)
    assert (reply.status, reply.excerpt, reply.elsewhere) == (301, "ok", "")


async def test_one_that_does_not_speak_tls_is_a_server_all_the_same() -> None:
    with serving(to("")) as server:
        url = server.root.replace("http:", "https:")
        with pytest.raises(
            HttpFault, match="it does not speak TLS there .*; check `address`"
        ) as caught:
            await HttpClient().get(f"{url}/a", SECONDS)
    assert caught.value.unheard


async def test_a_url_that_is_none_is_a_fault_and_no_crash() -> None:
    for url in ("http://fd00::5/cm", "http://plug.lan:http/cm", "http://[fd00::5/cm"):
        with pytest.raises(HttpFault, match="the connection broke"):
            await HttpClient().get(url, SECONDS)
