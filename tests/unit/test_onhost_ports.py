"""Who listens on a port of a host."""

from __future__ import annotations

import os
import pwd
import socket
import struct
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.onhost import groups, origins, ports, procfs, servers, sockets
from reconciler.onhost.serve import answer
from tests import running
from tests.running import LISTENER, ok, start, stop_request

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = b"""\
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0
   2: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4713 1 0
   3: 0100007F:1F9
"""


@pytest.fixture(autouse=True)
def _no_process_survives_a_test() -> Iterator[None]:
    with running.ending_all():
        yield


def owner(port: int) -> dict[str, Any] | None:
    found: dict[str, Any] | None = ok(answer({"do": "port", "port": port}, "/"))["owner"]
    return found


def refused(*_: object) -> Iterator[str]:
    raise PermissionError


@contextmanager
def ending(one: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        one.kill()


def test_a_unit_that_listens_is_named_with_its_model(tmp_path: Path) -> None:
    identity = start(tmp_path, LISTENER, model="gemma3")
    port = int(running.wait_for_line(tmp_path / "models/gemma3/log").split()[1])
    found = owner(port)
    assert found is not None
    assert (found["pid"], found["model"]) == (identity["pid"], "gemma3")
    assert found["name"].startswith("python")
    ok(answer(stop_request(identity), str(tmp_path)))
    assert owner(port) is None


def test_a_unit_of_another_reconciler_is_no_stranger_that_a_kill_ends(tmp_path: Path) -> None:
    start(tmp_path, LISTENER, model="gemma3")
    port = int(running.wait_for_line(tmp_path / "models/gemma3/log").split()[1])
    found = ok(answer({"do": "port", "port": port}, str(tmp_path / "mine")))["owner"]
    assert (found["model"], found["supervisor"]) == (
        None,
        f"another reconciler ({tmp_path}/models/gemma3)",
    )


@pytest.mark.parametrize(
    ("family", "address"),
    [
        (socket.AF_INET, "0.0.0.0"),  # noqa: S104
        (socket.AF_INET, "127.0.0.2"),
        (socket.AF_INET6, "::1"),
        (socket.AF_INET6, "::"),
    ],
)
def test_a_stranger_is_named_on_every_address_of_both_families(
    family: socket.AddressFamily, address: str
) -> None:
    with socket.create_server((address, 0), family=family) as listener:
        found = owner(listener.getsockname()[1])
        assert found is not None
        assert (found["pid"], found["model"]) == (os.getpid(), None)


def test_whose_a_strangers_process_is_is_told_only_of_another_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        mine = owner(port)
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        theirs = owner(port)
    assert mine is not None
    assert theirs is not None
    assert (mine["user"], theirs["user"]) == ("", pwd.getpwuid(os.getuid()).pw_name)


def test_a_connection_is_no_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, (_, port) = listener.accept()
        with client, accepted:
            assert owner(port) is None


def test_nobody_is_nobody() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert owner(bound.getsockname()[1]) is None


def test_rows_of_the_kernel_are_read_by_port_and_state() -> None:
    assert sockets.among(ROWS.splitlines(), 8080) == [sockets.Socket(4711, 1000)]
    assert sockets.among(ROWS.splitlines(), 22) == [sockets.Socket(4712, 0)]
    assert sockets.among(ROWS.splitlines(), 40000) == []


def test_the_kernels_answer_and_its_tables_agree() -> None:
    with socket.create_server(("::", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
        table = Path("/proc/net/tcp6").read_bytes().splitlines()[1:]
        (found,) = sockets.listening(port)
        assert [found._replace(group=0)] == sockets.among(table, port)
        assert found.inode == os.fstat(listener.fileno()).st_ino


def test_of_a_socket_the_kernel_tells_the_control_group() -> None:
    """An answer has attributes of other kinds too, and may break off."""
    found = struct.pack("=4xH46x12xII", socket.htons(8080), 1000, 4711)
    attributes = struct.pack("=HHB3xHHQ", 5, 8, 1, 12, 21, 77)
    assert sockets._told(found + attributes) == (8080, sockets.Socket(4711, 1000, 77))
    for cut in (b"", attributes[:8], struct.pack("=HH", 0, 21)):
        assert sockets._told(found + cut) == (8080, sockets.Socket(4711, 1000))


def test_only_in_a_group_of_ones_own_is_a_process_a_member() -> None:
    own = Path("/proc/self/cgroup").read_text().split("0::")[-1].strip()
    places = [Path(place + own) for place in groups._PLACES if Path(place + own).is_dir()]
    for place in places:
        assert (os.getpid() in groups.members(place.stat().st_ino)) == (own != "/")
    assert groups.members(0) == []


def test_where_descriptors_are_hidden_the_words_of_a_program_tell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In a group that is a person's, whoever was started first is not taken for who listens."""
    server = tmp_path / "llama-server"
    server.write_text(LISTENER)
    argv = [sys.executable, str(server)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as one, ending(one):
        assert one.stdout is not None
        port = int(one.stdout.readline().split()[1])
        monkeypatch.setattr(procfs, "descriptors", refused)
        monkeypatch.setattr(ports, "_is_hidden", lambda pid: pid in (os.getpid(), one.pid))
        monkeypatch.setattr(servers, "DEFAULT_PORT", port)
        for members in ([], [os.getpid(), one.pid]):
            monkeypatch.setattr(groups, "members", lambda _, found=members: found)
            found = owner(port)
            assert found is not None
            assert found["pid"] == one.pid
        by_hand = {"container": None, "service": None, "supervisor": ""}
        monkeypatch.setattr(origins, "origin", lambda _: by_hand)
        monkeypatch.setattr(groups, "members", lambda _: [os.getpid()])
        found = owner(port)
        assert found is not None
        assert (found["pid"], found["name"]) == (
            None,
            f"a program of user {procfs.account(os.getuid())}",
        )
