"""A container of a compose project is kept as its service, also once it is made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reconciler.core.importing.containers import containers
from reconciler.core.onboarding.candidates import Candidate
from reconciler.core.onboarding.kept import kept, of_container
from reconciler.core.onboarding.takeover import steps
from reconciler.model.found_container import FoundContainer
from reconciler.model.machine import Machine, Server
from reconciler.model.origin import Container, Service
from reconciler.onhost import container_engine, found_containers
from reconciler.onhost.container_engine import KeptContainer
from tests.imported import FIXTURES, SOCKET, container, of_compose, read_back, reported
from tests.machines import adopted, file, machine, server

if TYPE_CHECKING:
    from pathlib import Path

STACK = Service(name="stack.service", scope="system")
CODER = container(
    name="llm_coder_1", project="imports", service="coder", project_file="/srv/llm/compose.yaml"
)


def launcher(one: FoundContainer, *beside: FoundContainer) -> dict[str, Any]:
    return dict(of_container(one, machine(containers=(one, *beside))).launcher)


def run_by(keeper: Service | None) -> tuple[Machine, Server]:
    """Give a machine where a service runs `docker compose up`, and the server in its container."""
    inside = Container(runtime="docker", name=CODER.name, engine=SOCKET, service=keeper)
    one = server(container=inside, user="root")
    return machine(containers=(CODER,), servers=(one,)), one


def test_it_is_written_with_its_project_and_the_file_that_makes_it() -> None:
    assert launcher(CODER, container(service="web", project="imports")) == {
        "kind": "compose",
        "project": "imports",
        "service": "coder",
        "socket": SOCKET,
        "file": "/srv/llm/compose.yaml",
    }
    assert "file" not in launcher(CODER.model_copy(update={"project_file": ""}))


@pytest.mark.parametrize(
    ("changed", "beside"),
    [
        ({"project": ""}, ()),
        ({"network": "own"}, ()),
        ({}, (CODER.model_copy(update={"name": "llm_coder_2"}),)),
    ],
)
def test_one_that_no_service_stands_for_is_written_by_its_name(
    changed: dict[str, Any], beside: tuple[FoundContainer, ...]
) -> None:
    written = launcher(CODER.model_copy(update=changed), *beside)
    assert (written["kind"], written["container"]) == ("docker", "llm_coder_1")


@pytest.mark.parametrize(
    ("files", "oneoff", "told"),
    [
        ("compose.yaml", "False", ("llm", "coder", "compose.yaml")),
        ("compose.yaml,gpu.yaml", "False", ("llm", "coder", "")),
        ("gone.yaml", "False", ("llm", "coder", "")),
        ("compose.yaml", "True", ("", "", "")),
    ],
)
def test_its_labels_tell_of_its_service_and_of_a_file_that_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: str, oneoff: str, told: tuple[str, ...]
) -> None:
    for name in ("compose.yaml", "gpu.yaml"):
        (tmp_path / name).touch()
    labels = {
        "project": "llm", "service": "coder", "oneoff": oneoff,
        "project.working_dir": str(tmp_path), "project.config_files": files,
    }  # fmt: skip
    seen = {
        "Id": "f00d", "Name": "/llm_coder_1", "Path": "llama-server", "Args": [], "Mounts": [],
        "Config": {
            "Image": "x", "Env": [],
            "Labels": {f"com.docker.compose.{name}": text for name, text in labels.items()},
        },
        "State": {"Running": True, "Restarting": False},
        "HostConfig": {
            "NetworkMode": "host", "AutoRemove": False, "RestartPolicy": {"Name": "no"},
        },
    }  # fmt: skip
    kept_there = [KeptContainer(SOCKET, seen, "docker")]
    monkeypatch.setattr(container_engine, "every", lambda _: kept_there)
    (one,) = map(FoundContainer.model_validate, found_containers.found([]))
    name = one.project_file.removeprefix(f"{tmp_path}/")
    assert (one.project, one.service, name) == told


def test_a_service_that_starts_it_again_is_ended_before_it_is_taken_over() -> None:
    seen, one = run_by(STACK)
    keeper = kept(one, seen)
    assert keeper is not None
    assert keeper.launcher["kind"] == "compose"
    found = Candidate("coder", file("/m/c.gguf"), adopted(weights="/m/c.gguf"), one, keeper)
    (step,) = steps(seen, [found])
    assert step.command == "sudo systemctl disable --now stack.service"
    assert step.why[0] == (
        "coder keeps running as container llm_coder_1, and stack.service starts that again"
        " whenever it is stopped."
    )
    assert steps(run_by(None)[0], [found._replace(server=run_by(None)[1])]) == ()


def test_an_import_names_that_service(tmp_path: Path) -> None:
    seen, _ = run_by(STACK)
    report = of_compose(FIXTURES / "one_service.yaml", seen)
    (row,) = [one for one in report.rows if one.key == "stack.service"]
    assert (row.became, row.instead) == ("carried", "`systemctl disable --now stack.service`")
    (model,) = read_back(report, tmp_path).values()
    assert model.launcher.kind == "compose"
    beside = reported(containers(seen), seen)
    assert (beside.models, beside.rows[-1].became) == ((), "left out")
