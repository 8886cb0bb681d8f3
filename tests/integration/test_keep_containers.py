"""From a llama-server that serves in a container to a plan that is empty, by `init` alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.app import build
from reconciler.settings import settings
from reconciler.verbs import init
from tests.alone import Alone
from tests.dockers import Dockerd, dockerd
from tests.engine import free_port, weights_in
from tests.engine_program import program_in
from tests.running import until
from tests.stack import COMMAND_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def docker() -> Iterator[Dockerd]:
    with dockerd() as one:
        yield one


@dataclass(frozen=True)
class Kept:
    """A machine on which the container `gemma` serves from folders that it has elsewhere."""

    folder: Path
    docker: Dockerd
    port: int

    def serve(self, **changed: Any) -> None:
        program_in(self.folder)
        weights = weights_in(self.folder / "models")
        argv = [
            "/app/bin/llama-server", "-m", f"/models/{weights.name}", "-c", "2048",
            "--slot-save-path", "/slots", "--port", str(self.port),
        ]  # fmt: skip
        shared = {"/app": self.folder, "/models": weights.parent, "/slots": self.folder / "slots"}
        mounts = [f"{here}:{there}" for there, here in shared.items()]
        self.docker.create("gemma", argv, self.folder, mounts, **changed)
        self.docker.ask("POST", "/containers/gemma/start")
        until(self._listens)

    def _listens(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def pid(self) -> int:
        return int(self.docker.state("gemma")["Pid"])

    def begin(self) -> dict[str, Any]:
        asked = settings(
            {"XDG_STATE_HOME": str(self.folder / "xdg")}, str(self.folder / "stack"), None
        )
        alone = Alone(**vars(build(asked)), pid=self.pid(), models=self.folder / "models")
        return alone.run(init.run, alone, None).document.model_dump(mode="json")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.command(*words, "--state", "stack")

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "reconciler", *words],
            cwd=self.folder,
            env={**os.environ, "XDG_STATE_HOME": str(self.folder / "xdg")},
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )


@pytest.fixture
def here(docker: Dockerd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{docker.socket}")
    for folder in ("models", "slots"):
        (tmp_path / folder).mkdir()
    yield Kept(tmp_path, docker, free_port())
    docker.remove("gemma")


def test_what_serves_in_a_container_is_kept_as_it_is(here: Kept) -> None:
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
    here.docker.remove("gemma")
    missing = here.run("doctor")
    assert missing.returncode == 1
    assert "there is no container gemma" in missing.stdout


def test_what_is_removed_when_it_ends_is_not_kept_and_it_is_said_why(here: Kept) -> None:
    here.serve(AutoRemove=True)
    (step,) = here.begin()["steps"]
    assert step["command"] == "docker stop gemma"
    assert "made without `--rm`, it could be kept as it is" in " ".join(step["why"])
    refused = here.run("plan")
    assert refused.returncode == 4
    assert "`docker stop gemma`" in refused.stdout
    inventory = (here.folder / "stack" / "inventory.yaml").read_text()
    assert f"weights: {here.folder}/models/llama-1-64x2.gguf" in inventory


def test_a_stranger_in_a_container_is_ended_by_its_name_and_stays_away(here: Kept) -> None:
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


def test_every_container_is_imported_and_the_plan_is_empty(here: Kept) -> None:
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


def test_a_folder_of_weights_is_imported_and_an_empty_one_ends_with_1(here: Kept) -> None:
    weights_in(here.folder / "models")
    assert here.command("import", "gguf-dir", "models", "stack").returncode == 0
    assert "llama-1-64x2:" in (here.folder / "stack" / "inventory.yaml").read_text()
    nothing = here.command("import", "gguf-dir", "slots", "other")
    assert (nothing.returncode, (here.folder / "other").exists()) == (1, False)
    assert here.command("import", "gguf-dir", "other").returncode == 64
