"""What is told to systemd, read from a real datagram socket."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from reconciler.edge.notify import SystemdSupervisor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Listener:
    """The socket of a supervisor."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)

    def heard(self) -> str:
        return self.socket.recv(4096).decode()


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    one = Listener(f"@{tmp_path}/notify" if request.param == "abstract" else f"{tmp_path}/notify")
    with one.socket:
        yield one


def test_each_word_is_one_datagram(listener: Listener) -> None:
    supervisor = SystemdSupervisor({"NOTIFY_SOCKET": listener.name})
    for say, words in (
        (supervisor.ready, "READY=1"),
        (supervisor.alive, "WATCHDOG=1"),
        (supervisor.stopping, "STOPPING=1"),
    ):
        say()
        assert listener.heard() == words


def test_a_reload_says_when_it_began(listener: Listener) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    SystemdSupervisor({"NOTIFY_SOCKET": listener.name}).reloading()
    first, _, began = listener.heard().rpartition("\nMONOTONIC_USEC=")
    assert first == "RELOADING=1"
    assert before <= int(began) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_a_status_is_one_line_whatever_is_said(listener: Listener) -> None:
    SystemdSupervisor({"NOTIFY_SOCKET": listener.name}).status("serves gemma3\nREADY=1 \udcff ä")
    assert listener.heard() == "STATUS=serves gemma3 READY=1 ? ä"


def test_without_a_supervisor_nothing_is_said() -> None:
    supervisor = SystemdSupervisor({"WATCHDOG_USEC": "30000000"})
    supervisor.ready()
    assert supervisor.watchdog_seconds is None


def test_a_supervisor_that_is_gone_or_cannot_be_is_no_error(tmp_path: Path) -> None:
    for name in (f"{tmp_path}/nobody", "@nobody", "vsock:2:1234", "/" + "x" * 200):
        SystemdSupervisor({"NOTIFY_SOCKET": name}).ready()


def test_a_supervisor_that_does_not_listen_is_not_waited_for(listener: Listener) -> None:
    supervisor = SystemdSupervisor({"NOTIFY_SOCKET": listener.name})
    for _ in range(2000):
        supervisor.alive()
    assert listener.heard() == "WATCHDOG=1"


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "1500000"}, 1.5),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "this one"}, 1.5),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "1"}, None),
    ],
    ids=str,
)
def test_the_watchdog_waits_for_the_process_that_it_names(
    told: dict[str, str], seconds: float | None
) -> None:
    told = {name: value.replace("this one", str(os.getpid())) for name, value in told.items()}
    assert SystemdSupervisor({"NOTIFY_SOCKET": "@nobody", **told}).watchdog_seconds == seconds
