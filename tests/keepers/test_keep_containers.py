"""From a llama-server that serves in a container to a plan that is empty, by `init` alone."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.dockers import IMAGE, PROGRAMS, ROOT, Dockerd, podman
from tests.engine import free_port, weights_in
from tests.engine_program import embedded_in
from tests.keeping import Keeping
from tests.needs import program
from tests.running import until
from tests.stack import COMMAND_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def here(docker: Dockerd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeping]:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{docker.socket}")
    yield Keeping(tmp_path, docker, free_port())
    docker.remove("gemma")


def test_what_serves_in_a_container_is_kept_as_it_is(here: Keeping) -> None:
    here.serve(RestartPolicy={"Name": "always"})
    begun = here.begin()
    assert begun["steps"] == []
    inventory = (here.folder / "stack" / "inventory.yaml").read_text()
    assert "weights: /models/llama-1-64x2.gguf" in inventory
    assert "0.4 MiB, llama" in inventory
    assert f"{{kind: docker, container: gemma, socket: {here.docker.socket}}}" in inventory
    assert "docker update --restart=no gemma" in inventory
    before = here.pid()
    planned = here.run("plan", "--detailed-exitcode")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert here.run("apply", "--yes").returncode == 0
    assert here.pid() == before
    told = here.run("doctor")
    assert told.returncode == 0, told.stdout
    assert "do: `docker update --restart=no gemma`" in told.stdout
    file = here.folder / "stack" / "inventory.yaml"
    file.write_text(inventory.replace(f"port: {here.port}", f"port: {free_port()}"))
    assert f"its command line listens on port {here.port}" in here.run("doctor").stdout
    file.write_text(inventory)
    here.docker.remove("gemma")
    missing = here.run("doctor")
    assert missing.returncode == 1
    assert "there is no container gemma" in missing.stdout
    assert ": 1 thing wrong." in missing.stdout


def test_the_first_use_that_fails_goes_back_to_what_init_found(here: Keeping) -> None:
    here.serve()
    here.begin()
    before = here.pid()
    file = here.folder / "stack" / "inventory.yaml"
    engine = "{kind: embedded, seed: 1, args: [--threads, none]}"
    broken = f"{{engine: {engine}, port: {here.port}}}"
    file.write_text(f"{file.read_text()}  broken: {broken}\n")
    used = here.run("use", "broken", "--yes")
    assert used.returncode == 3, used.stdout + used.stderr
    assert "going back to llama-1-64x2" in used.stderr
    assert here.pid() not in {0, before}


def test_what_is_removed_when_it_ends_is_not_kept_and_it_is_said_why(here: Keeping) -> None:
    here.serve(AutoRemove=True)
    (step,) = here.begin()["steps"]
    assert step["command"] == "docker stop gemma"
    assert "made without `--rm`, it could be kept as it is" in " ".join(step["why"])
    refused = here.run("plan")
    assert refused.returncode == 4
    assert "`docker stop gemma`" in refused.stdout
    inventory = (here.folder / "stack" / "inventory.yaml").read_text()
    assert f"weights: {here.folder}/models/llama-1-64x2.gguf" in inventory


def test_a_stranger_in_a_container_is_ended_by_its_name_and_stays_away(here: Keeping) -> None:
    here.serve(RestartPolicy={"Name": "always"})
    state = here.folder / "stack"
    state.mkdir()
    (state / "desired.yaml").write_text("version: 1\nactive: tiny\n")
    (state / "inventory.yaml").write_text(
        f"version: 1\nmodels:\n  tiny: {{engine: {{kind: embedded, seed: 1}}, port: {here.port}}}\n"
    )
    refused = here.run("plan")
    assert refused.returncode == 4
    assert "`docker stop gemma && docker update --restart=no gemma`" in refused.stdout


def test_every_container_is_imported_and_the_plan_is_empty(here: Keeping) -> None:
    here.serve()
    here.docker.create("db", ["/bin/sleep", "100"], here.folder)
    imported = here.command("import", "docker", "stack")
    assert imported.returncode == 0, imported.stdout + imported.stderr
    assert "carried   container gemma: model gemma" in imported.stdout
    assert (
        "left out  container db: image localhost/empty: its program is no llama-server"
        in imported.stdout
    )
    assert here.run("plan", "--detailed-exitcode").returncode == 0
    again = here.command("import", "docker", "stack")
    assert again.returncode == 4
    here.docker.remove("db")


def test_a_folder_of_weights_is_imported_and_an_empty_one_ends_with_1(here: Keeping) -> None:
    weights_in(here.folder / "models")
    assert here.command("import", "gguf-dir", "models", "stack").returncode == 0
    assert "llama-1-64x2:" in (here.folder / "stack" / "inventory.yaml").read_text()
    nothing = here.command("import", "gguf-dir", "slots", "other")
    assert (nothing.returncode, (here.folder / "other").exists()) == (1, False)
    misused = here.command("import", "gguf-dir", "other")
    assert misused.returncode == 64
    assert "found `other` after gguf-dir, expected `reconciler import" in misused.stderr


def test_a_service_of_a_compose_file_is_imported_and_the_plan_is_empty(here: Keeping) -> None:
    embedded_in(here.folder)
    weights = weights_in(here.folder / "models")
    (here.folder / ".env").write_text(f"PORT={here.port}\nCONTEXT=2048\n")
    service = {
        "image": IMAGE,
        "network_mode": "host",
        "restart": "unless-stopped",
        "entrypoint": ["/app/llama-server"],
        "command": f"-m /models/{weights.name} -c ${{CONTEXT:-512}} --port $PORT",
        "environment": {"PYTHONPATH": str(ROOT)},
        "volumes": [*PROGRAMS, "./models:/models", ".:/app"],
    }
    services = {"coder": service, "web": {"image": IMAGE, "command": ["sleep", "1"]}}
    (here.folder / "compose.yaml").write_text(json.dumps({"version": "2.4", "services": services}))
    made = subprocess.run(
        [program("docker-compose"), "up", "--detach", "--no-deps", "coder"],
        cwd=here.folder, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    until(here.listens)
    imported = here.command("import", "compose", "compose.yaml", "stack")
    assert imported.returncode == 0, imported.stdout + imported.stderr
    assert "compose.yaml:1: web: image localhost/empty: its program is no" in imported.stdout
    until(lambda: here.run("plan", "--detailed-exitcode").returncode == 0)
    inventory = (here.folder / "stack" / "inventory.yaml").read_text()
    assert "context: 2048" in inventory
    assert f"port: {here.port}" in inventory
    stopped = subprocess.run(
        [program("docker-compose"), "down", "--timeout", "0"],
        cwd=here.folder, capture_output=True, check=False, timeout=COMMAND_SECONDS,
    )  # fmt: skip
    assert stopped.returncode == 0


def test_a_container_of_podman_without_control_groups_is_imported_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with podman() as engine:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{engine.socket}")
        here = Keeping(tmp_path, engine, free_port())
        here.serve(RestartPolicy={"Name": "always"})
        imported = here.command("import", "docker", "stack")
        assert "do: make it again with `--restart=no`" in imported.stdout
        until(lambda: here.run("plan", "--detailed-exitcode").returncode == 0)
        assert "active: gemma" in (tmp_path / "stack" / "desired.yaml").read_text()
        engine.remove("gemma")
