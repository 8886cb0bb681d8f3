"""Requests under a real systemd that holds the socket: while `serve` is restarted or has died,
clients wait in it, and none is refused.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.booted import Booted, booted_systemd
from tests.engine import free_port
from tests.running import until
from tests.shipped import ROOT, account, here, program

CLIENTS = 200
WITHIN = 30.0
ENGINE = "import runpy\nrunpy.run_path('/run/project/unhealthy_engine.py', run_name='__main__')\n"
BODY = b'{"model": "m"}'
ASKED = (
    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
) + BODY
HERE = "[Socket]\nListenStream=\nListenStream=127.0.0.1:{}\n"
UNIT = "reconciler-serve"
OLD = "told to ask again"


class Crowd:
    """Clients that ask again and again, each time by a connection of its own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.heard = Counter[str]()
        self.is_over = False

    async def asks(self) -> None:
        while not self.is_over:
            self.heard[await self._asked()] += 1

    async def _asked(self) -> str:
        try:
            async with asyncio.timeout(WITHIN):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError as error:
            return f"not connected: {error}"
        with closing(writer):
            try:
                writer.write(ASKED)
                async with asyncio.timeout(WITHIN):
                    return _said(await reader.read())
            except OSError as error:
                return f"not answered: {error}"


def _said(answer: bytes) -> str:
    if answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"}"):
        return "answered"
    if answer.startswith(b"HTTP/1.1 503 ") and b"is being restarted" in answer:
        return OLD
    return f"not answered: {answer!r}"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def systemd(port: int) -> Iterator[Booted]:
    """Boot a systemd that listens; what answers is started by the first request."""
    with booted_systemd() as booted:
        account(booted)
        program(booted, ENGINE)
        booted.write("/run/systemd/system/network-online.target", "")
        for name in ("reconciler.service", "reconciler-serve.service", "reconciler.socket"):
            booted.write(f"/run/systemd/system/{name}", (ROOT / "deploy" / name).read_text())
        booted.define(f"{UNIT}.service.d/here.conf", here("serve --finish 2s"))
        booted.define("reconciler.service.d/here.conf", here("watch"))
        booted.define("reconciler.socket.d/here.conf", HERE.format(port))
        booted.run("systemctl", "start", "reconciler.socket")
        yield booted


async def during(systemd: Booted, port: int, *words: str) -> Counter[str]:
    """Have clients ask while systemctl does something, until each was answered after it."""
    crowd, before = Crowd(port), systemd.shows(UNIT, "MainPID")
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(crowd.asks())
        await known(lambda: crowd.heard["answered"] >= CLIENTS)
        await asyncio.to_thread(systemd.run, "systemctl", *words, UNIT)
        await known(lambda: systemd.shows(UNIT, "MainPID") not in {before, "0"})
        answered = crowd.heard["answered"]
        await known(lambda: crowd.heard["answered"] >= answered + CLIENTS)
        crowd.is_over = True
    return crowd.heard


async def known(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.05)


async def test_the_first_request_starts_it_and_is_answered(systemd: Booted, port: int) -> None:
    assert systemd.shows(UNIT, "ActiveState") == "inactive"
    assert await Crowd(port)._asked() == "answered"
    until(lambda: systemd.shows(UNIT, "ActiveState") == "active", WITHIN)
    journal = systemd.run("journalctl", "--unit", UNIT, "--output=cat")
    assert f"requests are taken at http://127.0.0.1:{port}/v1" in journal


async def test_a_restart_refuses_none_of_two_hundred_clients(systemd: Booted, port: int) -> None:
    heard = await during(systemd, port, "restart")
    assert set(heard) <= {"answered", OLD}


async def test_death_refuses_none_and_what_was_not_under_way_is_answered(
    systemd: Booted, port: int
) -> None:
    heard = await during(systemd, port, "kill", "--kill-whom=main", "--signal=KILL")
    failed = {said: count for said, count in heard.items() if said != "answered"}
    assert not [said for said in failed if said.startswith("not connected")]
    assert sum(failed.values()) <= CLIENTS


def test_the_service_without_requests_takes_the_place_of_both(systemd: Booted) -> None:
    systemd.run("systemctl", "start", "reconciler")
    until(lambda: systemd.shows("reconciler", "StatusText") == "local: in sync", WITHIN)
    for other in (f"{UNIT}.service", "reconciler.socket"):
        assert systemd.shows(other, "ActiveState") == "inactive"
