"""What the program on a host makes of an engine's answers that a real one gives seldom."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.model.onhost import READ_SECONDS
from reconciler.onhost import bounded, docker_api, docker_inspected, docker_log
from reconciler.onhost.docker_api import DockerAnswer
from reconciler.onhost.problem import HostProblem
from reconciler.onhost.serve import answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STATE = {
    "Running": False,
    "Restarting": False,
    "OOMKilled": False,
    "Error": "",
    "Pid": 0,
    "ExitCode": 7,
    "StartedAt": "2026-11-30T10:00:01.5Z",
    "FinishedAt": "2026-11-30T10:00:02Z",
}
GIVEN = {"name": "gemma3", "socket": "/nowhere"}


class Engine:
    """An engine that has one container, and notes what it is asked for beyond a look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **state: Any) -> None:
        self.state = {**STATE, **state}
        self.asked: list[str] = []
        self.server = ""
        self.answers: dict[str, DockerAnswer] = {}
        monkeypatch.setattr(docker_api, "ask", self._ask)

    def _ask(self, _: str, method: str, path: str, *__: object) -> DockerAnswer:
        word = path.rpartition("/")[2].partition("?")[0]
        if word != "json":
            self.asked.append(f"{method} {word}")
            return self.answers.get(word, DockerAnswer(204, b""))
        seen = {
            "Id": "c" * 64,
            "Created": "2026-11-30T09:00:00Z",
            "RestartCount": 2,
            "State": self.state,
            "Config": {"Image": "llama", "Tty": True},
            "HostConfig": {"NetworkMode": "host", "AutoRemove": False},
        }
        told = DockerAnswer(200, json.dumps(seen).encode(), self.server)
        return self.answers.get(word, told)


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({}, "it ended with status 7"),
        ({"OOMKilled": True}, "the kernel ended it because memory ran out"),
        ({"Error": "no such\n device"}, "dockerd could not run it (no such device)"),
    ],
)
def test_a_container_that_is_over_at_once_did_not_start(
    monkeypatch: pytest.MonkeyPatch, state: dict[str, Any], why: str
) -> None:
    Engine(monkeypatch, **state)
    assert answer({"do": "start-container", **GIVEN}, "/") == {
        "error": f"container gemma3 did not start: {why} before it served; `docker logs gemma3`"
        " says more"
    }


@pytest.mark.parametrize("state", [{"Status": "stopping"}, {"Status": "paused", "Paused": True}])
def test_what_an_engine_calls_not_running_is_a_unit_until_its_processes_are_gone(
    monkeypatch: pytest.MonkeyPatch, state: dict[str, Any]
) -> None:
    Engine(monkeypatch, **state)
    (seen,) = answer({"do": "containers", "containers": [GIVEN]}, "/")["ok"]["containers"]
    assert seen["unit"] is not None


BARE = {
    "Id": "c" * 64,
    "State": {"Running": False, "Pid": 0},
    "Config": {"Image": "llama"},
    "HostConfig": {"NetworkMode": "host"},
}
EMPTY = ("Args", "Mounts", "Name", "Path", "Created", "Image", "RestartCount")


def test_what_is_left_out_or_null_is_empty() -> None:
    null = {**BARE, **dict.fromkeys(EMPTY)}
    null["HostConfig"] = {"NetworkMode": "host", "RestartPolicy": None, "PortBindings": None}
    assert docker_inspected.whole(BARE) == docker_inspected.whole(null)
    full = docker_inspected.whole({**BARE, "Args": ["a"]})
    assert full is not None
    assert (full["Args"], full["Mounts"], full["State"]["Status"]) == (["a"], [], "")
    assert full["HostConfig"]["RestartPolicy"] == {"Name": ""}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"[" * 100_000,
        json.dumps({**BARE, "State": None}).encode(),
        json.dumps({**BARE, "State": {"Running": None, "Pid": 0}}).encode(),
        json.dumps({**BARE, "Config": []}).encode(),
    ],
)
def test_an_answer_that_tells_of_no_container_is_not_a_container_that_has_stopped(
    monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    Engine(monkeypatch).answers["json"] = DockerAnswer(200, body)
    said = answer({"do": "containers", "containers": [GIVEN]}, "/")
    assert "dockerd does not tell of container gemma3: " in said["error"]


@pytest.mark.parametrize("rows", [{}, [None], [{"Id": ""}], [[]]])
def test_what_is_no_list_of_containers_is_told_apart_from_an_empty_one(rows: object) -> None:
    assert DockerAnswer(200, json.dumps(rows).encode()).listed is None
    assert DockerAnswer(500, b"[]").listed is None
    assert DockerAnswer(200, b"[]").listed == []
    row = {"Id": "c", "Names": None, "Labels": None}
    assert DockerAnswer(200, json.dumps([row]).encode()).listed == [
        {"Id": "c", "Names": [], "Labels": {}}
    ]


def stopped(pid: int, run: str) -> dict[str, Any]:
    identity = {"pid": pid, "start": 1, "inode": 1, "boot_id": "b", "invocation": run}
    request = {"do": "stop-container", **GIVEN, "identity": identity, "grace": 0.1, "kill": 0.1}
    return answer(request, "/")


def test_of_what_waits_to_be_started_again_every_try_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that runs is ended only if it is the run that is meant."""
    engine = Engine(monkeypatch, Restarting=True)
    for pid, run in ((9, "c" * 12 + "@before"), (0, "d" * 12 + "@before")):
        assert stopped(pid, run)["ok"]["rungs"] == []
    assert engine.asked == []
    said = stopped(0, "c" * 12 + "@before")
    assert set(engine.asked) == {"POST stop", "POST kill"}
    assert "is still there 0.1 s after SIGKILL" in said["error"]


def test_what_an_engine_refuses_is_told_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch)
    log = {"do": "container-log", **GIVEN, "lines": 9}
    engine.answers["logs"] = DockerAnswer(500, b'{"message": "logging driver\\n has no reader"}')
    assert answer(log, "/") == {
        "error": "there is no log of container gemma3: logging driver has no reader"
    }
    engine.answers["json"] = DockerAnswer(503, b"<html>")
    assert answer(log, "/") == {
        "error": "dockerd does not tell of container gemma3: it answered 503"
    }
    engine.answers["json"] = DockerAnswer(404, b"")
    assert answer(log, "/") == {"ok": {"lines": [], "end": ""}}


def test_of_a_container_with_a_terminal_the_lines_come_without_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first words of a run may be a little older than what is called its start."""
    engine = Engine(monkeypatch)
    lines = [
        f"2026-11-30T10:00:{at}Z {word}\r\n" for at, word in ((0.5, "w"), (1.46, "x"), (1.6, "y"))
    ]
    engine.answers["logs"] = DockerAnswer(200, "".join(lines).encode())
    log = {"do": "container-log", **GIVEN, "lines": 1}
    assert answer(log, "/") == {"ok": {"lines": ["y"], "end": "2026-11-30T10:00:1.6Z"}}
    more = {**log, "after": "2026-11-30T10:00:01Z"}
    assert answer(more, "/") == {"ok": {"lines": ["x"], "end": "2026-11-30T10:00:1.46Z"}}


def test_of_an_engine_that_tells_whole_seconds_lines_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A later run of the same container is told from its beginning."""
    engine = Engine(monkeypatch)
    lines = [f"2026-11-30T10:00:0{at}Z {word}\n" for at, word in ((2, "x"), (2, "y"), (3, "z"))]
    engine.answers["logs"] = DockerAnswer(200, "".join(lines).encode(), "Libpod/4.3.1 (linux)")
    engine.server = "Libpod/4.3.1 (linux)"
    log = {"do": "container-log", **GIVEN, "lines": 2}
    told = answer(log, "/")["ok"]
    assert told["lines"] == ["y", "z"]
    run = "c" * 12 + "@2026-11-30T10:00:01.5Z"
    for end, after in (
        (f"2026-11-30T10:00:02.000000001Z {run}", ["y", "z"]),
        (told["end"], []),
        ("2026-11-30T10:00:02.000000001Z before", ["x", "y"]),
    ):
        assert answer({**log, "after": end}, "/")["ok"]["lines"] == after


def test_messages_name_the_engine_that_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch)
    engine.server = "Libpod/4.3.1 (linux)"
    said = answer({"do": "start-container", **GIVEN}, "/")["error"]
    assert said.endswith("`podman logs gemma3` says more")
    sockets = {
        "/run/docker.sock": "`systemctl status docker`",
        "/run/podman/podman.sock": "podman does not answer (/run/podman/podman.sock: ",
        "/run/user/1000/podman/podman.sock": "`systemctl --user status podman.socket`",
        "/run/user/1000/docker.sock": "`systemctl --user status docker`",
    }
    monkeypatch.undo()
    monkeypatch.setattr(docker_api, "_exchanged", away)
    monkeypatch.setattr(bounded.Bounded, "connect", away)
    for place, words in sockets.items():
        with pytest.raises(HostProblem) as told:
            docker_api.ask(place, "GET", "/")
        assert words in str(told.value)


def test_a_moment_that_cannot_be_read_was_never() -> None:
    assert docker_log.nanoseconds("") == docker_log.nanoseconds("soon") == 0
    assert docker_log.moment("0001-01-01T00:00:00Z") == "0.000000000"


@contextmanager
def listening(place: Path, said: bytes) -> Iterator[None]:
    """DockerAnswer one client on a Unix socket with some bytes."""

    def serve() -> None:
        with closing(listener.accept()[0]) as client:
            client.recv(4096)
            client.sendall(said)

    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(place))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


def test_why_no_engine_answers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "s"
    question = {"do": "containers", "containers": [{"name": "gemma3", "socket": str(place)}]}
    assert "there is no such file" in answer(question, "/")["error"]
    with closing(socket.socket(socket.AF_UNIX)) as gone:
        gone.bind(str(place))
    assert "Connection refused" in answer(question, "/")["error"]
    place.unlink()
    with listening(place, b"SSH-2.0\r\n"):
        assert "answered as no dockerd does (BadStatusLine)" in answer(question, "/")["error"]
    with closing(socket.socket(socket.AF_UNIX)) as silent:
        place.unlink()
        silent.bind(str(place))
        silent.listen()
        with pytest.raises(HostProblem, match=r"did not answer within 0.01 s"):
            docker_api.ask(str(place), "GET", "/", 0.01)
        monkeypatch.setattr(docker_api, "_exchanged", refused)
        with pytest.raises(HostProblem, match=r"`sudo usermod -aG \w+ \$USER` and a new login"):
            docker_api.ask(str(place), "GET", "/", 0.01)


def away(*_: object) -> DockerAnswer:
    raise FileNotFoundError


def refused(*_: object) -> DockerAnswer:
    raise PermissionError


def test_an_engine_that_accepts_and_never_answers_is_named_before_its_host_is_given_up(
    tmp_path: Path,
) -> None:
    place = str(tmp_path / "docker.sock")
    with closing(socket.socket(socket.AF_UNIX)) as silent:
        silent.bind(place)
        silent.listen()
        with pytest.raises(HostProblem, match=r"dockerd did not answer within 0.01 s"):
            docker_api.ask(place, "GET", "/containers/json", 0.01)
    assert docker_api.LOOK_SECONDS < READ_SECONDS


def test_what_a_program_writes_in_the_middle_of_a_line_neither_ends_it_nor_dates_it() -> None:
    moments = ("2026-11-30T10:00:01.5Z", "2026-11-30T10:00:01.6Z")
    said = "10 %\r20 %\r2099-01-01T00:00:00Z \x0c\u2028 late"
    content = "".join(f"{moment} {said}\r\n" for moment in moments).encode()
    expected = [(moment, said) for moment in moments]
    assert docker_log.written(content, "", is_tty=True) == expected
    framed = b"\x01\0\0\0" + len(content).to_bytes(4, "big") + content
    assert docker_log.written(framed, moments[0], is_tty=False) == expected[1:]
