"""What a host says of a server on its loopback: the page or the fault, in time and in bounds."""

from __future__ import annotations

import os
import socket
import time
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from reconciler.model.facts import Known
from reconciler.model.onhost import ASK_SECONDS
from reconciler.model.onhost.ports import AskPage
from tests import running
from tests.contracts.hosts import here
from tests.engine import free_port
from tests.rig import value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import JsonValue

    from reconciler.ports import Access

    Says = Callable[[socket.socket], object]

HERE = "127.0.0.1"
OTHER_LOOPBACK = "127.0.0.2"
LIMIT = 10_000
SOON = 0.3


def asking(port: int, **changed: Any) -> AskPage:
    """Ask this process, in all the time that a slow machine takes."""
    given = {
        "port": port,
        "path": "/props",
        "pids": (os.getpid(),),
        "seconds": running.DEADLINE,
        "limit": LIMIT,
    }
    return AskPage(**{**given, **changed})


async def asked(access: Access, port: int, **changed: Any) -> Any:
    """Return what the host saw."""
    (fact,) = await access.ask([asking(port, **changed)])
    return value(fact)


@contextmanager
def saying(says: Says, heard: list[bytes] | None = None, address: str = HERE) -> Iterator[int]:
    """Be a server that hears requests and then says something, and give its port."""

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    (heard if heard is not None else []).append(connection.recv(4096))
                    says(connection)

    with socket.create_server((address, 0)) as listener:
        server = Thread(target=serve, args=(listener,))
        server.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()


def whole(content: bytes) -> Says:
    """Say this and hang up."""
    return lambda connection: connection.sendall(content)


def slowly(content: bytes) -> Says:
    """Say this, then go on byte by byte for as long as anybody listens."""

    def says(connection: socket.socket) -> None:
        connection.sendall(content)
        while True:
            connection.sendall(b"x")
            time.sleep(running.PAUSE_SECONDS)

    return says


def endlessly(content: bytes, more: bytes) -> Says:
    """Say this, and then more and more for as long as anybody listens."""

    def says(connection: socket.socket) -> None:
        connection.sendall(content)
        while True:
            connection.sendall(more)

    return says


def nothing(connection: socket.socket) -> None:
    """Say nothing until the other end hangs up."""
    connection.recv(1)


async def test_a_page_comes_with_the_owner_of_its_port(access: Access) -> None:
    heard: list[bytes] = []
    with saying(
        whole(b'HTTP/1.1 503 Not Yet\r\nContent-Length: 5\r\n\r\n"\xc3\xa9\xff"more'), heard
    ) as port:
        seen = await asked(access, port)
    assert seen["owner"]["pid"] == os.getpid()
    assert seen["page"] == {"status": 503, "reason": "Not Yet", "body": '"é\ufffd"'}
    (request,) = heard
    first, *headers = request.decode().lower().split("\r\n")
    assert first == "get /props http/1.1"
    assert {"connection: close", "accept-encoding: identity"} <= set(headers)


async def test_a_key_goes_with_the_request_and_into_no_sentence(access: Access) -> None:
    heard: list[bytes] = []
    with saying(whole(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), heard) as port:
        assert (await asked(access, port, key="sk-mine"))["page"]["status"] == 200
        refused = (await asked(access, port, key="sk-mine\nX: y"))["page"]
    # The second was closed before a word was said, which the server may not have noticed yet.
    assert b"\r\nAuthorization: Bearer sk-mine\r\n" in heard[0]
    assert [request for request in heard[1:] if b"sk-mine" in request] == []
    assert refused == {"fault": "broken", "words": "ValueError"}
    assert "sk-mine" not in repr(asking(1, key="sk-mine"))


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

FORMS = {
    "redirect": (
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        302,
        "",
    ),
    "without a length": (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, "until the end"),
    "chunked": (CHUNKED + b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", 200, "abcd"),
}


async def test_every_form_of_an_answer_is_read_and_no_redirect_is_followed(access: Access) -> None:
    for form, (said, status, body) in FORMS.items():
        with saying(whole(said)) as port:
            page = (await asked(access, port))["page"]
        assert (form, page["status"], page["body"]) == (form, status, body)


LATE: dict[str, Says] = {
    "silent": nothing,
    "trickling": slowly(b""),
    "trickling head": slowly(OK + b"X: "),
    "trickling body": slowly(OK + b"Content-Length: 5000\r\n\r\n"),
}
LARGE = {
    "endless prelude": endlessly(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "endless head": endlessly(OK + b"X: ", b"x" * 1000),
    "endless body": endlessly(OK + b"\r\n", b"x" * 1000),
    "endless chunk": endlessly(CHUNKED + b"-1\r\n", b"x" * 1000),
    "too long": whole(OK + b"Content-Length: 20000\r\n\r\n" + b"x" * 20_000),
}
BROKEN = {
    "hangs up": whole(b""),
    "garbage": whole(b"\x00\xff nonsense\r\n\r\n"),
    "no status": whole(b"HTTP/1.1 many OK\r\n\r\n"),
    "half": whole(OK + b"Content-Length: 100\r\n\r\nhalf"),
    "half of a terabyte": whole(OK + b"Content-Length: 1000000000000\r\n\r\nhalf"),
    "half a chunk": whole(CHUNKED + b"5\r\nhal"),
    "no chunk": whole(CHUNKED + b"-5\r\nhal"),
}


@pytest.mark.parametrize(
    ("fault", "said", "liars", "seconds"),
    [
        ("timeout", "0.3 s", LATE, SOON),
        ("too large", "10000 bytes", LARGE, running.DEADLINE),
        ("broken", "", BROKEN, running.DEADLINE),
    ],
    ids=["late", "large", "broken"],
)
async def test_a_server_that_gives_no_page_costs_no_more_than_it_may(
    access: Access, fault: str, said: str, liars: dict[str, Says], seconds: float
) -> None:
    for liar, says in liars.items():
        with saying(says) as port:
            page = (await asked(access, port, seconds=seconds))["page"]
        assert (liar, page.get("fault")) == (liar, fault), page
        assert page["words"] == (said or page["words"]) != ""


def works(connection: socket.socket) -> None:
    """Work for a client until it hangs up."""
    connection.setblocking(False)
    while True:
        with suppress(BlockingIOError):
            connection.recv(1)
            return


@pytest.mark.parametrize(("says", "fault"), [(works, "busy"), (nothing, "timeout")])
async def test_a_server_at_work_for_another_client_is_told_from_one_that_hangs(
    access: Access, says: Says, fault: str
) -> None:
    with saying(says) as port:
        with socket.create_connection((HERE, port)) as client:
            client.sendall(b"x")
            page = (await asked(access, port, seconds=1.0))["page"]
        assert page["fault"] == fault
        assert page["words"] == ("1 connection" if fault == "busy" else "1 s")


async def test_a_server_that_works_for_nobody_is_silent(access: Access) -> None:
    with saying(works) as port:
        assert (await asked(access, port, seconds=1.0))["page"]["fault"] == "timeout"


async def test_where_nothing_listens_nothing_is_asked(access: Access) -> None:
    assert await asked(access, free_port()) == {"owner": None, "page": None}


async def test_a_port_that_accepts_nothing_on_the_loopback_refuses(access: Access) -> None:
    with saying(nothing, address=OTHER_LOOPBACK) as port:
        seen = await asked(access, port)
    assert seen["owner"]["pid"] == os.getpid()
    assert seen["page"] == {"fault": "refused", "words": "Connection refused"}


async def test_a_stranger_is_not_spoken_with(access: Access) -> None:
    heard: list[bytes] = []
    with saying(whole(OK + b"\r\n"), heard) as port:
        seen = await asked(access, port, pids=(1,))
    assert (seen["owner"]["pid"], seen["page"]) == (os.getpid(), None)
    assert heard == []


async def test_a_server_that_thinks_delays_no_other_question(access: Access) -> None:
    thinks, released = anyio.Event(), anyio.Event()

    async def ask(port: int) -> None:
        thinks.set()
        assert (await asked(access, port))["page"]["fault"] == "broken"
        released.set()

    heard: list[bytes] = []
    with anyio.fail_after(2 * running.DEADLINE), saying(nothing, heard) as port:
        async with anyio.create_task_group() as group:
            group.start_soon(ask, port)
            await thinks.wait()
            while not heard:
                assert isinstance(await access.contact(), Known)
            assert isinstance(await access.contact(), Known)
            assert not released.is_set()
            group.cancel_scope.cancel()


async def test_a_page_is_asked_for_alone_and_its_host_is_the_first_to_say_that_it_is_late() -> None:
    trips: list[tuple[list[str], float]] = []

    async def exchange(request: dict[str, Any], seconds: float) -> dict[str, JsonValue]:
        trips.append(([one["do"] for one in request["requests"]], seconds))
        return {"error": "no matter"}

    driver = here("/nowhere", exchange)
    async with anyio.create_task_group() as group:
        group.start_soon(driver.contact)
        group.start_soon(driver.ask, [asking(80, seconds=5)])
        group.start_soon(driver.claim)
    assert sorted(trips) == [(["contact", "claim"], 2 * ASK_SECONDS), (["page"], 5 + ASK_SECONDS)]
