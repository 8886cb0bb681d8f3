"""What a container engine tells is read as a host sees it: paths by mounts, ports by publishing."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.core.onboarding.kept import of_container
from reconciler.model.found_container import ContainerEngine, FoundContainer
from reconciler.onhost import container_engine, containers, docker_api, found_containers
from reconciler.onhost.docker_api import DockerAnswer
from reconciler.onhost.origins import origin
from reconciler.onhost.problem import HostProblem
from tests.fakeproc import Proc
from tests.machines import machine, server

if TYPE_CHECKING:
    from pathlib import Path

ID = "0123456789abcdef" * 4
SOCKET = "/var/run/docker.sock"
MOUNTS = [
    {"Source": "/srv/gguf", "Destination": "/models"},
    {"Source": "/fast", "Destination": "/models/fast/"},
]


def inspected(**changed: Any) -> dict[str, Any]:
    """Describe a container as an engine does; a dotted key changes what is within."""
    settings = {
        "NetworkMode": "host", "AutoRemove": False, "PortBindings": None,
        "RestartPolicy": {"Name": ""}, **changed.pop("settings", {}),
    }  # fmt: skip
    return {
        "Id": ID, "Name": "/gemma", "Path": "/app/llama-server",
        "Args": ["-m", "/models/g.gguf", "--port", "9001", "--api-key", "hush"],
        "State": {"Running": True, "Restarting": False, "Pid": 9},
        "Config": {"Image": "llama.cpp", "Env": ["LLAMA_API_KEY=hush", "A"], "Labels": None},
        "HostConfig": settings, "Mounts": MOUNTS, **changed,
    }  # fmt: skip


class Engine:
    """An engine that has these containers, and may be silent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *containers: dict[str, Any]) -> None:
        self.containers = containers
        self.silent = False
        monkeypatch.setattr(container_engine, "sockets", lambda *_: [SOCKET])
        monkeypatch.setattr(docker_api, "ask", self._ask)

    def _ask(self, _: str, __: str, path: str, ___: float) -> DockerAnswer:
        if self.silent:
            raise HostProblem("dockerd does not answer")
        if path == "/containers/json?all=1":
            return DockerAnswer(200, json.dumps([{"Id": ID} for _ in self.containers]).encode())
        if not self.containers:
            return DockerAnswer(404, b'{"message": "no"}')
        return DockerAnswer(200, json.dumps(self.containers[0]).encode())


def described(monkeypatch: pytest.MonkeyPatch, **changed: Any) -> FoundContainer:
    Engine(monkeypatch, inspected(**changed))
    (one,) = found_containers.found([])
    return FoundContainer.model_validate(one)


def test_a_container_is_told_with_paths_of_the_host_and_without_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = described(monkeypatch)
    assert one.flags == ("-m", "/models/g.gguf", "--port", "9001", "--api-key", "(hidden)")
    assert one.outside("/models/g.gguf") == "/srv/gguf/g.gguf"
    assert (one.name, one.policy, one.port, one.network) == ("gemma", "no", 9001, "host")
    assert (one.serves, one.variables) == (True, ("LLAMA_API_KEY",))
    assert "hush" not in one.model_dump_json()


def test_a_container_of_ours_is_told_by_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    mark = {"controller": "c", "model": "a", "digest": "d", "port": 8080}
    config = {"Image": "x", "Env": None, "Labels": {"io.reconciler.mark": json.dumps(mark)}}
    assert described(monkeypatch, Config=config).model == "a"
    assert described(monkeypatch).model is None


def test_what_is_no_llama_server_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    one = described(monkeypatch, Path="postgres", Args=[])
    assert (one.serves, one.flags) == (False, ())


@pytest.mark.parametrize(
    ("bindings", "network", "port"),
    [
        ({"9001/tcp": [{"HostIp": "", "HostPort": "80"}]}, "published", 80),
        ({"8080/tcp": [{"HostIp": "", "HostPort": "80"}]}, "own", 9001),
        ({"9001/tcp": [{"HostIp": "", "HostPort": ""}]}, "own", 9001),
        ({"9001/tcp": None}, "own", 9001),
    ],
)
def test_the_port_is_the_one_of_the_host_where_it_is_published(
    monkeypatch: pytest.MonkeyPatch, bindings: dict[str, Any], network: str, port: int
) -> None:
    settings = {"NetworkMode": "bridge", "PortBindings": bindings}
    one = described(monkeypatch, settings=settings)
    assert (one.network, one.port) == (network, port)


def test_a_file_on_no_mount_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    one = described(monkeypatch, Args=["-m", "/app/x.gguf"])
    assert one.outside("/app/x.gguf") == one.outside("/models/y.gguf") == ""
    assert "/app/x.gguf lies inside the container" in " ".join(of_container(one, machine()).remarks)


def test_an_engine_that_is_silent_or_refuses_tells_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(monkeypatch, inspected())
    engine.silent = True
    assert (found_containers.found([]), container_engine.kept(ID)) == ([], None)
    monkeypatch.setattr("os.access", lambda *_: True)
    assert [one["answers"] for one in container_engine.engines([])] == [False]
    engine.silent = False
    assert [one["answers"] for one in container_engine.engines([])] == [True]
    refusing = Engine(monkeypatch)
    assert container_engine.kept(ID) is None
    refusing.containers = (inspected(),)


def test_a_process_in_a_container_is_told_by_the_name_that_its_engine_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Engine(monkeypatch, inspected(settings={"RestartPolicy": {"Name": "always"}}))
    proc = Proc(tmp_path / "proc")
    proc.process(9, "llama-server", cgroup=f"0::/docker/{ID}\n")
    found = origin(9, str(proc.folder))["container"]
    assert (found["name"], found["policy"], found["engine"]) == ("gemma", "always", SOCKET)


@pytest.mark.parametrize(
    ("typed", "is_its"),
    [
        (("docker", "start", "-a", "gemma"), True),
        (("/usr/bin/podman", "container", "start", "--attach", "gemma"), True),
        (("docker", "start", "-a", "other"), False),
        (("docker", "logs", "-f", "gemma"), False),
        (("docker", "start"), False),
    ],
)
def test_a_service_that_starts_a_container_by_its_name_is_what_runs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, typed: tuple[str, ...], *, is_its: bool
) -> None:
    Engine(monkeypatch, inspected())
    proc = Proc(tmp_path / "proc")
    proc.process(7, *typed, cgroup="0::/system.slice/gem.service\n")
    proc.process(9, "llama-server", cgroup=f"0::/docker/{ID}\n")
    found = origin(9, str(proc.folder))["container"]
    service = {"name": "gem.service", "scope": "system"}
    assert (found["name"], found["service"]) == ("gemma", service if is_its else None)
    assert containers.run_by(7, str(proc.folder)) == ([9] if "start" in typed[1:-1] else [])


def test_what_nobody_keeps_or_does_not_run_is_waited_for_by_no_client(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    engine = Engine(monkeypatch, inspected(State={"Pid": 0}))
    proc = Proc(tmp_path / "proc")
    proc.process(7, "docker", "start", "-a", "gemma")
    assert containers.run_by(7, str(proc.folder)) == []
    engine.containers = ()
    assert containers.run_by(7, str(proc.folder)) == []


def test_what_a_server_has_in_memory_is_found_on_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    Engine(monkeypatch, inspected(Path="/run.sh", Args=[]))
    inside = {"name": "gemma", "engine": SOCKET}
    served = {
        "container": inside, "flags": ["--lora=/models/l.gguf"], "mapped": ["/models/a.gguf"],
        "port": None,
    }  # fmt: skip
    by_hand = {**served, "container": None}
    (one,) = found_containers.found([by_hand, served])
    assert one["files"] == [
        {"inside": "/models/l.gguf", "outside": "/srv/gguf/l.gguf"},
        {"inside": "/models/a.gguf", "outside": "/srv/gguf/a.gguf"},
    ]
    assert one["serves"]
    assert found_containers.as_reached(served, [one])["port"] == one["port"]
    assert found_containers.as_reached(by_hand, [one]) == by_hand


def test_an_engine_is_looked_for_where_the_environment_says_and_each_only_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as engine:
        engine.bind(str(tmp_path / "docker.sock"))
        (tmp_path / "podman").mkdir()
        (tmp_path / "podman" / "podman.sock").symlink_to(tmp_path / "docker.sock")
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        assert container_engine.sockets()[0] == f"{tmp_path}/docker.sock"
        assert f"{tmp_path}/podman/podman.sock" not in container_engine.sockets()
        monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1:2375")
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "elsewhere"))
        assert str(tmp_path) not in " ".join(container_engine.sockets())


def test_a_container_with_a_policy_says_how_to_be_left_alone_at_boot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = described(monkeypatch, settings={"RestartPolicy": {"Name": "always"}})
    assert "`docker update --restart=no gemma`" in of_container(one, machine()).remarks[0]
    elsewhere = of_container(one.model_copy(update={"socket": "/run/d.sock"}), machine())
    assert elsewhere.launcher["socket"] == "/run/d.sock"
    usual = ContainerEngine(socket=SOCKET, usual=True, group="docker", usable=True)
    assert "socket" not in of_container(one, machine(engines=(usual,))).launcher


@pytest.mark.parametrize("changed", [{}, {"removed": True}, {"name": "other"}])
def test_only_a_container_that_stays_and_is_told_of_can_be_a_model(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    one = described(monkeypatch).model_copy(update=changed)
    inside = {"runtime": "docker", "name": "gemma", "engine": SOCKET}
    seen = server(container=inside)
    is_kept = machine(containers=(one,)).container_of(seen) is not None
    assert is_kept is (changed == {})
    assert machine(containers=(one,)).container_of(server()) is None


def test_a_process_that_only_its_files_set_apart_is_found_by_the_first_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Engine(monkeypatch, inspected())
    proc = Proc(tmp_path / "proc")
    for name, files in (("self", "ours"), ("9", "theirs"), ("10", "theirs"), ("11", "theirs")):
        if name != "self":
            parent = {"9": 1, "10": 9, "11": 1}[name]
            proc.process(int(name), "llama-server", parent=parent, cgroup="0::/init\n")
        (proc.folder / name / "ns").mkdir(parents=True)
        place = tmp_path / files
        place.touch()
        (proc.folder / name / "ns" / "mnt").symlink_to(place)
    found = {pid: origin(pid, str(proc.folder))["container"] for pid in (9, 10, 11)}
    assert [one and one["name"] for one in found.values()] == ["gemma", "gemma", None]
