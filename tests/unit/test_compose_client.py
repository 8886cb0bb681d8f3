"""A service that runs `docker compose up` is known as what starts a container again, if it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reconciler.onhost import commands, compose_client, container_engine
from reconciler.onhost.container_engine import KeptContainer
from reconciler.onhost.docker_container import HeldContainer
from tests.fakeproc import Proc

if TYPE_CHECKING:
    from pathlib import Path

STACK = {"name": "stack.service", "scope": "system"}
UP = ("/usr/bin/docker-compose", "up")
ONEOFF = "com.docker.compose.oneoff"


def labels(service: str = "coder", **changed: str) -> dict[str, str]:
    fields = {
        "project": "llm",
        "service": service,
        "project.working_dir": "/srv/llm",
        "project.config_files": "compose.yaml,gpu.yaml",
    }
    return {f"com.docker.compose.{name}": value for name, value in (fields | changed).items()}


def inspected(**changed: Any) -> dict[str, Any]:
    fields = {
        "Id": "a" * 64, "Name": "/llm-coder-1", "Config": {"Labels": labels()}, "RestartCount": 0,
        "HostConfig": {"RestartPolicy": {"Name": "always"}, "NetworkMode": "host"},
        "State": {
            "Running": True, "Restarting": True, "Paused": False, "Status": "running", "Pid": 0,
            "StartedAt": "", "OOMKilled": False, "Error": "", "ExitCode": 3,
        },
    }  # fmt: skip
    return {**fields, **changed}


class Stack:
    """A service that runs a compose program, beside an engine with a container of its project."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.proc = Proc(folder / "proc")
        self.restart = "always"
        self.running = [labels()]
        self.is_silent = False
        monkeypatch.setattr(commands, "run", self._run)
        monkeypatch.setattr(container_engine, "labelled", self._labelled)

    def _run(self, argv: list[str], seconds: float, _: object) -> commands.Ended:
        assert (argv[:2], argv[-1]) == (["systemctl", "--system"], "stack.service")
        if self.is_silent:
            raise commands.Late
        out = f"Restart={self.restart}\nWorkingDirectory=!/srv/llm\n"
        return commands.Ended(0, out, "")

    def _labelled(self, place: str, label: str) -> list[dict[str, Any]]:
        assert (place, label) == ("/run/docker.sock", "com.docker.compose.project=llm")
        return [{"Id": f"{at}", "Labels": one} for at, one in enumerate(self.running[1:])]

    def starts(
        self, *typed: str, folder: str = "/srv/llm", **changed: Any
    ) -> dict[str, str] | None:
        """Find the service that starts the container again, which runs these words."""
        group = "0::/system.slice/stack.service\n"
        self.proc.process(7, *typed, cgroup=group, directory=folder)
        seen = inspected(**changed)
        return compose_client.service(
            KeptContainer("/run/docker.sock", seen, "docker"), str(self.proc.folder)
        )


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stack:
    return Stack(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("typed", "folder"),
    [
        (UP, "/srv/llm"),
        (("/usr/bin/python3", "/usr/bin/docker-compose", "up", "--timeout", "3"), "/srv/llm"),
        (("docker", "compose", "up", "--no-deps", "coder"), "/srv/llm"),
        (("docker", "compose", "-p", "llm", "up"), "/"),
        (("docker", "compose", "--project-name=llm", "up"), "/"),
        (("docker", "compose", "-f", "../llm/compose.yaml", "up"), "/srv/web"),
        (("docker", "compose", "--project-directory", "/srv/llm", "up"), "/"),
        (("podman-compose", "up"), "/srv/llm"),
    ],
)
def test_what_waits_for_its_project_starts_a_container_again(
    stack: Stack, typed: tuple[str, ...], folder: str
) -> None:
    assert stack.starts(*typed, folder=folder) == STACK


@pytest.mark.parametrize(
    ("typed", "folder"),
    [
        ((*UP, "-d"), "/srv/llm"),
        ((*UP, "-Vd"), "/srv/llm"),
        ((*UP, "--detach"), "/srv/llm"),
        ((*UP, "web"), "/srv/llm"),
        ((*UP, "--timeout", "3", "web"), "/srv/llm"),
        (UP, "/srv/web"),
        (("docker", "compose", "-p", "web", "up"), "/srv/llm"),
        (("docker", "compose", "-f", "web.yaml", "up"), "/srv/llm"),
        (("docker", "compose", "logs", "-f"), "/srv/llm"),
        (("docker", "run", "llama.cpp", "up"), "/srv/llm"),
        (("up",), "/srv/llm"),
    ],
)
def test_what_leaves_it_or_is_of_another_project_does_not(
    stack: Stack, typed: tuple[str, ...], folder: str
) -> None:
    assert stack.starts(*typed, folder=folder) is None


@pytest.mark.parametrize(
    ("restart", "again"),
    [("always", STACK), ("on-success", STACK), ("on-failure", None), ("no", None)],
)
def test_only_a_service_that_systemd_starts_again_does(
    stack: Stack, restart: str, again: dict[str, str] | None
) -> None:
    stack.restart = restart
    assert stack.starts(*UP) == again


def test_a_folder_that_is_hidden_is_the_one_of_its_service(stack: Stack) -> None:
    stack.proc.process(8, *UP, cgroup="0::/system.slice/stack.service\n")
    (stack.proc.folder / "8" / "cwd").unlink()
    assert stack.starts("sleep", "1") == STACK


def test_a_systemd_that_does_not_answer_tells_of_none(stack: Stack) -> None:
    stack.is_silent = True
    assert stack.starts(*UP) is None


@pytest.mark.parametrize(
    ("beside", "again"),
    [
        (labels("web"), None),
        (labels("web", oneoff="True"), STACK),
        (labels("coder", **{"container-number": "2"}), None),
    ],
)
def test_while_something_else_of_it_runs_it_goes_on_and_starts_nothing(
    stack: Stack, beside: dict[str, str], again: dict[str, str] | None
) -> None:
    stack.running.append(beside)
    assert stack.starts(*UP) == again


def test_of_services_that_are_named_only_those_are_waited_for(stack: Stack) -> None:
    stack.running.append(labels("web"))
    assert stack.starts(*UP, "coder") == STACK


@pytest.mark.parametrize("own", [{}, labels(oneoff="True")])
def test_what_is_no_service_of_a_project_is_started_by_none(
    stack: Stack, own: dict[str, str]
) -> None:
    assert stack.starts(*UP, Config={"Labels": own}) is None


@pytest.mark.parametrize(("scope", "mine"), [("system", ""), ("user", "--user ")])
def test_a_plan_that_stops_it_names_the_service(
    monkeypatch: pytest.MonkeyPatch, scope: str, mine: str
) -> None:
    keeper = {"name": "stack.service", "scope": scope}
    monkeypatch.setattr(compose_client, "service", lambda _: keeper)
    one = HeldContainer({"name": "llm-coder-1", "socket": "/run/docker.sock"})
    unit = one.unit(inspected())
    assert unit is not None
    assert unit["returns"] == (
        "stack.service starts container llm-coder-1 again once it is stopped; `systemctl"
        f" {mine}disable --now stack.service` leaves it to reconciler; docker starts container"
        " llm-coder-1 again at boot; `docker update --restart=no llm-coder-1` keeps it down"
    )
