"""A container of a compose project is kept as its service, also once it is made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reconciler.core.onboarding.kept import of_container
from reconciler.model.found_container import FoundContainer
from reconciler.onhost import container_engine, found_containers
from reconciler.onhost.container_engine import KeptContainer
from tests.imported import SOCKET, container
from tests.machines import machine

if TYPE_CHECKING:
    from pathlib import Path

CODER = container(
    name="llm_coder_1", project="imports", service="coder", project_file="/srv/llm/compose.yaml"
)


def launcher(one: FoundContainer, *beside: FoundContainer) -> dict[str, Any]:
    return dict(of_container(one, machine(containers=(one, *beside))).launcher)


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
