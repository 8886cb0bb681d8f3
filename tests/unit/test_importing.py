"""What is imported becomes models that can be read back, and all else is named with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from reconciler.core.importing import weights_folder
from reconciler.core.importing.containers import containers
from reconciler.model.found_container import ContainerEngine, ContainerFile
from reconciler.model.origin import Container, Service
from reconciler.render.import_text import import_text
from tests.imported import GEMMA, SOCKET, container, read_back, reported
from tests.machines import file, machine, server

if TYPE_CHECKING:
    from pathlib import Path


def test_a_container_becomes_a_model_that_is_started_and_stopped_as_it_is(tmp_path: Path) -> None:
    seen = machine(containers=(container(),), weights=(file("/srv/gemma.gguf"),))
    report = reported(containers(seen), seen)
    (model,) = read_back(report, tmp_path).values()
    assert (model.name, model.launcher.kind, model.port) == ("gemma", "docker", 8080)
    assert model.engine.options["weights"] == "/models/gemma.gguf"
    assert [(row.key, row.became) for row in report.rows] == [("model gemma", "carried")]
    inventory = (tmp_path / "inventory.yaml").read_text()
    assert "It did not run when it was looked at." in inventory
    assert "5.0 GiB, qwen3" in inventory
    assert "active: []" in (tmp_path / "desired.yaml").read_text()


def test_a_container_that_runs_is_active_with_the_flags_that_it_really_has(tmp_path: Path) -> None:
    running = server(
        container=Container(runtime="docker", name="gemma", engine=SOCKET),
        flags=(*GEMMA[:2], "-c", "4096"),
    )
    seen = machine(containers=(container(running=True),), servers=(running,))
    report = reported(containers(seen), seen)
    (model,) = read_back(report, tmp_path).values()
    assert model.engine.options["context"] == 4096
    assert "active: gemma" in (tmp_path / "desired.yaml").read_text()
    (lost,) = [row for row in report.rows if row.became == "left out"]
    assert (lost.key, lost.where) == ("conversations", "container gemma")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"serves": False}, "its program is no llama-server"),
        ({"serves": False, "image": "vllm/vllm-openai:v1"}, "vLLM is not an engine"),
        ({"removed": True}, "it is removed when it ends"),
        ({"model": "a"}, "reconciler made it for its model a"),
        ({"flags": ("--models-preset", "/m.ini")}, "it a router of many models"),
        ({"flags": ("-hf", "org/model")}, "-hf names where its weights come from"),
        ({"flags": ("--jinja",)}, "its command line names no weights"),
    ],
)
def test_what_is_no_model_is_named_with_the_reason(changed: dict[str, Any], why: str) -> None:
    seen = machine(containers=(container(**changed),))
    report = reported(containers(seen), seen)
    assert report.models == ()
    (row,) = report.rows
    assert (row.where, row.became) == ("container gemma", "left out")
    assert why in row.why


TAKEN = "`reconciler import systemd` takes its service as it is; or make it once without `--rm`, "


@pytest.mark.parametrize(("removed", "once"), [(True, TAKEN), (False, "")])
def test_a_container_that_a_service_runs_is_left_to_that(once: str, *, removed: bool) -> None:
    service = Service(name="gem.service", scope="system")
    inside = Container(runtime="docker", name="gemma", engine=SOCKET, service=service)
    seen = machine(
        containers=(container(running=True, removed=removed),),
        servers=(server(container=inside, flags=GEMMA),),
    )
    report = reported(containers(seen), seen)
    (row,) = report.rows
    assert (report.models, row.became) == ((), "left out")
    assert row.why == "gem.service runs it, and would start it again whenever it is stopped"
    assert row.instead == f"{once}`systemctl disable --now gem.service`, and import again"


def test_what_a_download_has_in_memory_is_written_while_it_runs(tmp_path: Path) -> None:
    running = server(
        container=Container(runtime="docker", name="gemma", engine=SOCKET),
        flags=("-hf", "org/model"),
        mapped=("/models/gemma.gguf",),
    )
    seen = machine(containers=(container(flags=("-hf", "org/model")),), servers=(running,))
    report = reported(containers(seen), seen)
    (model,) = read_back(report, tmp_path).values()
    assert model.engine.options["weights"] == "/models/gemma.gguf"
    assert ("-hf", "changed") in [(row.key, row.became) for row in report.rows]


def test_policy_and_files_that_nothing_else_can_see_are_told() -> None:
    inside = ContainerFile(inside="/models/gemma.gguf", outside="")
    seen = machine(containers=(container(policy="always", files=(inside,)),))
    rows = {row.key: row for row in reported(containers(seen), seen).rows}
    assert rows["restart: always"].instead.startswith("`docker update --restart=no gemma`")
    assert "mount its folder" in rows["/models/gemma.gguf"].instead


def test_two_containers_of_one_name_become_two_models(tmp_path: Path) -> None:
    seen = machine(containers=(container(name="My_A"), container(name="my_a", port=8081)))
    names = list(read_back(reported(containers(seen), seen), tmp_path))
    assert names == ["my_a", "my_a-2"]


def test_it_is_said_why_no_container_is_seen() -> None:
    (row,) = reported(containers(machine()), machine()).rows
    assert (row.became, row.why) == ("left out", "none of docker or podman listens here")
    assert "DOCKER_HOST=unix:///PATH" in row.instead
    elsewhere = machine(docker_host="tcp://10.0.0.9:2375")
    (row,) = reported(containers(elsewhere), elsewhere).rows
    assert "nor at DOCKER_HOST=tcp://10.0.0.9:2375, which has to be unix:///PATH" in row.why
    closed = ContainerEngine(socket=SOCKET, usual=True, usable=False, group="docker")
    seen = machine(user="ann", engines=(closed, closed.model_copy(update={"usable": True})))
    (row,) = reported(containers(seen), seen).rows
    assert row.why == "ann may not use it, so its containers are not seen"
    assert row.instead.startswith("`sudo usermod -aG docker ann`")


def test_an_engine_that_does_not_answer_is_no_engine_without_containers() -> None:
    silent = ContainerEngine(socket=SOCKET, usual=True, usable=True, answers=False, group="docker")
    seen = machine(engines=(silent,))
    (row,) = reported(containers(seen), seen).rows
    assert (row.where, row.why) == (SOCKET, "it does not answer, so its containers are not seen")


def test_each_file_of_a_folder_becomes_a_model_and_what_is_none_is_named() -> None:
    found = (
        file("/g/a.gguf"),
        file("/g/mmproj-a.gguf", architecture="clip"),
        file("/g/cut.gguf", problem="its header is cut short"),
    )
    report = weights_folder.report(machine(weights=found), found, "/g")
    assert [one.name for one in report.models] == ["a"]
    assert [(row.where, row.became) for row in report.rows] == [
        ("/g/a.gguf", "carried"), ("/g/mmproj-a.gguf", "left out"), ("/g/cut.gguf", "left out"),
    ]  # fmt: skip
    empty = weights_folder.report(machine(), (), "/g")
    assert (empty.models, empty.rows[0].where) == ((), "/g")


def test_the_text_says_what_to_do_and_ends_with_the_plan_or_with_nothing_written() -> None:
    row = {"where": "container a", "key": "image x", "became": "left out", "why": "", "instead": ""}
    told = import_text(
        {
            "source": "reconciler import docker", "directory": "stack", "files": [], "git": "",
            "models": [], "served": [], "rows": [{**row, "instead": "make it again"}],
            "plan": None,
        }
    )  # fmt: skip
    assert told.splitlines() == [
        "left out  container a: image x",
        "          do: make it again",
        "",
        "No model was found by `reconciler import docker`, so nothing was written;"
        " `reconciler init DIR` looks for all that serves, and for GGUF files.",
    ]


def test_a_container_that_no_port_leads_to_is_reached_by_its_own_address(tmp_path: Path) -> None:
    seen = machine(containers=(container(network="own"),))
    (model,) = read_back(reported(containers(seen), seen), tmp_path).values()
    assert model.launcher.options["network"] == "own"


def test_what_runs_is_active_also_where_nothing_listens_in_it_yet(tmp_path: Path) -> None:
    seen = machine(containers=(container(running=True, policy="always", runtime="podman"),))
    report = reported(containers(seen), seen)
    read_back(report, tmp_path)
    assert "active: gemma" in (tmp_path / "desired.yaml").read_text()
    assert "It runs, and listens nowhere yet." in (tmp_path / "inventory.yaml").read_text()
    (policy,) = [row for row in report.rows if row.key == "restart: always"]
    assert policy.instead == "make it again with `--restart=no`"
