"""What another process is told of the gates of a running `serve`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from reconciler.edge import control_socket, gatefile
from reconciler.edge.gatefile import GateFile, gate_of
from reconciler.model.facts import Known, Unknown
from reconciler.model.traffic import Admitting, GateDocument, Traffic
from tests.sample_worlds import HOST, identity

TOLD = GateDocument(
    admitting={"a": Admitting(identity=identity(1))}, traffic={"a": Traffic(in_flight=2)}
)
OK = b"HTTP/1.1 200 OK\r\n\r\n"


@asynccontextmanager
async def answering(folder: Path, answer: bytes) -> AsyncIterator[list[bytes]]:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(4096))
        writer.write(answer)
        writer.close()

    made = control_socket.listening(folder)
    async with await asyncio.start_unix_server(serve, sock=made):
        yield heard


async def test_who_looks_from_another_process_sees_the_same_gates(tmp_path: Path) -> None:
    async with answering(tmp_path, OK + TOLD.model_dump_json().encode()) as heard:
        gate = GateFile(tmp_path, HOST)
        admitting = await asyncio.gather(*(gate.admitting(name) for name in "ab"))
        traffic = await asyncio.gather(*(gate.traffic(name) for name in "ab"))
        assert admitting == [Known(TOLD.admitting["a"]), Known(Admitting())]
        assert traffic == [Known(TOLD.traffic["a"]), Known(Traffic())]
        assert len(heard) == 1, "one answer serves a whole look"
        assert f"GET /api/v1/gate/{HOST} ".encode() in heard[0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\nlater", "does not tell of its gates: later"),
        (OK + b"nonsense", "does not answer: 1 validation error"),
        (b"", "does not tell of its gates"),
    ],
)
async def test_a_gateway_that_does_not_say_is_not_one_without_requests(
    tmp_path: Path, answer: bytes, said: str
) -> None:
    async with answering(tmp_path, answer):
        found = await GateFile(tmp_path, HOST).traffic("a")
        assert isinstance(found, Unknown)
        assert said in found.reason


async def test_one_that_hangs_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gatefile, "WITHIN_SECONDS", 0.01)
    made = control_socket.listening(tmp_path)
    made.listen()
    found = await GateFile(tmp_path, HOST).admitting("a")
    made.close()
    assert isinstance(found, Unknown)
    assert "nothing within" in found.reason


def test_where_nothing_listens_there_is_no_gate(tmp_path: Path) -> None:
    assert gate_of(tmp_path / "nowhere", HOST) is None
    assert gate_of(tmp_path, HOST) is None
    control_socket.listening(tmp_path).close()
    assert gate_of(tmp_path, HOST) is None, "what is left of a process that ended"
    made = control_socket.listening(tmp_path)
    made.listen()
    assert gate_of(tmp_path, HOST) is not None
    made.close()


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    made = control_socket.listening(folder)
    made.listen()
    with made, control_socket.connected(folder):
        assert made.family == socket.AF_UNIX
    (folder / control_socket.NAME).unlink()
    (folder / control_socket.NAME).mkdir()
    with pytest.raises(OSError, match="directory"):
        control_socket.listening(folder)
