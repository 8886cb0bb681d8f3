"""Every answer that a server can give on its port: whatever answers lives."""

from __future__ import annotations

import json
import os
import socket
import ssl
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.contracts.test_pages import OK, nothing, saying, slowly, whole, works
from tests.engine import free_port
from tests.integration.test_liars import PROPS, engine_on
from tests.lying_servers import this_process
from tests.rig import DIGEST, value
from tests.rigs.redfish import self_signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reconciler.model.facts import Health
    from tests.contracts.test_pages import Says

OLD = 1000.0
"""Seconds after which a server that is not there yet never will be."""

GIVEN = ("llama-server", "-m", "a.gguf")


def answer(status: str, content: object = b"", *headers: str) -> Says:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    head = "".join(
        f"{line}\r\n"
        for line in (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "")
    )
    return whole(head.encode() + body)


def error(status: int, message: str) -> Says:
    return answer(f"{status} Said", {"error": {"message": message, "code": status}})


ANSWERS: dict[str, tuple[Says, str, str]] = {
    "ready": (answer("200 OK", PROPS), "ready", ""),
    "asleep": (answer("200 OK", {**PROPS, "is_sleeping": True}), "sleeping", "sleeps"),
    "another alias": (
        answer("200 OK", {**PROPS, "model_alias": "b"}),
        "other",
        "it serves b, not m",
    ),
    "another program": (
        answer("200 OK", {"models": []}),
        "unclear",
        "not with the settings of a llama.cpp server",
    ),
    "a page": (answer("200 OK", b"<html>", "Content-Type: text/html"), "unclear", "not with JSON"),
    "no content": (answer("204 No Content"), "unclear", "answered 204"),
    "redirect": (
        answer("302 Found", b"", "Location: https://login.example/"),
        "unclear",
        "answered 302",
    ),
    "bad request": (error(400, "no"), "unclear", "answered 400: no"),
    "no key": (error(401, "Invalid API Key"), "locked", "it wants a key"),
    "forbidden": (error(403, "go away"), "locked", "it wants a key"),
    "not found": (error(404, "File Not Found"), "unclear", "answered 404: File Not Found"),
    "too many": (error(429, "slow down"), "unclear", "answered 429: slow down"),
    "broken": (error(500, "out of memory"), "unclear", "answered 500: out of memory"),
    "not implemented": (error(501, "not supported"), "unclear", "answered 501"),
    "bad gateway": (answer("502 Bad Gateway", b"<html>nginx"), "unclear", "answered 502"),
    "loading": (error(503, "Loading model"), "loading", "loads its model"),
    "busy": (error(503, "overloaded"), "unclear", "answered 503: overloaded"),
    "endless": (whole(OK + b"\r\n" + b"x" * 2_000_000), "unclear", "answered with more than"),
    "garbage": (whole(b"\x00\xff nonsense\r\n\r\n"), "unresponsive", "the connection broke"),
    "half": (
        whole(OK + b"Content-Length: 100\r\n\r\nhalf"),
        "unresponsive",
        "the connection broke",
    ),
    "hangs up": (whole(b""), "unresponsive", "the connection broke"),
}
SILENT: dict[str, Says] = {
    "silence": nothing,
    "trickle": slowly(OK + b"Content-Length: 5000\r\n\r\n"),
}


@pytest.mark.parametrize("name", sorted(ANSWERS))
async def test_every_answer_of_an_engine_of_ours_is_a_sign_of_life(
    tmp_path: Path, name: str
) -> None:
    says, phase, words = ANSWERS[name]
    with saying(says) as port:
        health: Health = value(
            await engine_on(port, tmp_path).health(this_process(DIGEST, uptime=OLD))
        )
    assert (health.phase, words in health.message) == (phase, True), health


@pytest.mark.parametrize("name", sorted(ANSWERS))
async def test_every_answer_of_a_given_service_is_a_sign_of_life(tmp_path: Path, name: str) -> None:
    says, phase, _ = ANSWERS[name]
    with saying(says) as port:
        health: Health = value(
            await engine_on(port, tmp_path).health(this_process(DIGEST, uptime=OLD, argv=GIVEN))
        )
    assert health.phase == (phase if name != "another alias" else "ready"), (
        "nobody says what a given service is to call itself"
    )


@pytest.mark.parametrize("name", ["no key", "ready", "garbage"])
async def test_a_server_that_is_not_the_units_own_is_not_asked(tmp_path: Path, name: str) -> None:
    heard: list[bytes] = []
    elsewhere = this_process(DIGEST, members=(1,))
    not_here = elsewhere.model_copy(
        update={"identity": elsewhere.identity.model_copy(update={"pid": 1})}
    )
    with saying(ANSWERS[name][0], heard) as port:
        health: Health = value(await engine_on(port, tmp_path).health(not_here))
    assert (health.phase, heard) == ("stranger", [])
    assert f"pid {os.getpid()}" in health.message


@pytest.mark.parametrize("name", sorted(SILENT))
async def test_only_silence_is_no_answer(tmp_path: Path, name: str) -> None:
    with saying(SILENT[name]) as port:
        health: Health = value(
            await engine_on(port, tmp_path).health(this_process(DIGEST, uptime=OLD))
        )
    assert (health.phase, "within 5 s" in health.message) == ("unresponsive", True), health


async def test_who_is_at_work_for_others_serves(tmp_path: Path) -> None:
    with saying(works) as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"x")
        health: Health = value(
            await engine_on(port, tmp_path).health(this_process(DIGEST, uptime=OLD))
        )
    assert (health.phase, health.serves, health.lives) == ("busy", True, True)
    assert health.message.endswith("works for others (1 connection)")


@contextmanager
def speaking_tls(folder: Path) -> Iterator[int]:
    """Be a server that takes nothing but TLS, and hangs up on everybody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(folder))

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with (
                    connection,
                    suppress(OSError),
                    context.wrap_socket(connection, server_side=True) as secured,
                ):
                    secured.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Thread(target=serve, args=(listener,))
        server.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()


async def test_a_server_that_speaks_tls_lives(tmp_path: Path) -> None:
    with speaking_tls(tmp_path) as port:
        health: Health = value(
            await engine_on(port, tmp_path).health(this_process(DIGEST, uptime=OLD))
        )
    assert (health.phase, "it speaks TLS there" in health.message) == ("locked", True), health


async def test_a_service_that_has_no_main_process_yet_loads(tmp_path: Path) -> None:
    """As while its ExecStartPre= waits for a disk, for as long as that takes."""
    one = this_process(DIGEST)
    waits = {"identity": one.identity.model_copy(update={"pid": 0}), "members": (), "uptime": 0.0}
    health: Health = value(
        await engine_on(free_port(), tmp_path).health(one.model_copy(update=waits))
    )
    assert health.phase == "loading"


async def test_a_server_that_refuses_us_while_it_loads_is_loading(tmp_path: Path) -> None:
    def says(connection: socket.socket) -> None:
        refused = next(answers)
        refused(connection)

    answers = iter([error(401, "Invalid API Key"), error(503, "Loading model")])
    with saying(says) as port:
        health: Health = value(await engine_on(port, tmp_path).health(this_process(DIGEST)))
    assert health.phase == "loading"
