"""From a server started by hand to one that is kept: init, its advice, apply, a calm doctor."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.app import build
from reconciler.onhost import units
from reconciler.render.onboarding_text import init_text
from reconciler.settings import settings
from reconciler.verbs import init
from tests.alone import Alone
from tests.engine import EngineProcess, free_port, weights_in
from tests.engine_program import program_in
from tests.needs import need
from tests.stack import COMMAND_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

HUSH = "hush-hush"


@dataclass(frozen=True)
class Home:
    """A home with weights and a llama-server, in which commands run."""

    folder: Path
    port: int
    server: EngineProcess

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        home = {"HOME": str(self.folder / "home"), "XDG_STATE_HOME": str(self.folder / "xdg")}
        done = subprocess.run(
            [sys.executable, "-m", "reconciler", *words],
            cwd=self.folder,
            env={**os.environ, **home},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def document(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(*words, "-o", "json").stdout)
        return found

    def engines(self) -> list[int]:
        found = units.units(directory=str(self.folder))
        return [unit["identity"]["pid"] for unit in found]

    def begin(self) -> dict[str, Any]:
        """Run init on a machine where nobody else serves: other tests may, beside this one."""
        asked = settings(
            {"XDG_STATE_HOME": str(self.folder / "xdg")}, str(self.folder / "stack"), None
        )
        alone = Alone(
            **vars(build(asked)), pid=self.server.pid, models=self.folder / "home" / "models"
        )
        return alone.run(init.run, alone, None).document.model_dump(mode="json")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    (tmp_path / "home" / "models").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    weights = weights_in(tmp_path / "home" / "models")
    weights_in(tmp_path / "home" / "models", seed=2)
    port = free_port()
    argv = [
        str(program_in(tmp_path)),
        "-m",
        str(weights),
        "-a",
        "first",
        "-c",
        "2048",
        "--api-key",
        HUSH,
        "--port",
        str(port),
    ]
    engine = EngineProcess.start(argv, port, tmp_path / "by-hand.log")
    made = Home(tmp_path, port, engine)
    try:
        engine.wait_healthy()
        yield made
    finally:
        engine.kill()
        for pid in made.engines():
            os.kill(pid, signal.SIGKILL)


def test_what_was_started_by_hand_is_served_after_the_one_command_that_init_names(
    home: Home,
) -> None:
    need("kill")
    begun = home.begin()
    assert f"  kill {home.server.pid}\n" in init_text(begun)
    (step,) = begun["steps"]
    assert step["command"] == f"kill {home.server.pid}"
    refused = home.run("plan", "--state", "stack")
    assert refused.returncode == 4
    assert f"(pid {home.server.pid}); `kill {home.server.pid}` ends it" in refused.stdout
    (port,) = home.document("doctor", "--state", "stack")["findings"]
    assert (port["subject"], port["model"]) == ("port", "first")
    subprocess.run(shlex.split(step["command"]), check=True)
    home.server.wait_exit(COMMAND_SECONDS)
    applied = home.run("apply", "--yes", "--state", "stack")
    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert home.run("plan", "--detailed-exitcode", "--state", "stack").returncode == 0
    assert home.server.get("/props")["model_alias"] == "first"
    well = home.run("doctor", "--state", "stack")
    assert (well.returncode, well.stdout) == (
        0,
        "Looked at files, journal and local: nothing wrong.\n",
    )


def test_weights_that_are_not_served_run_once_desired_names_one(home: Home) -> None:
    home.server.kill()
    begun = home.begin()
    assert len(begun["models"]) == len(["first", "second"])
    told = init_text(begun)
    assert "Nothing is active yet" in told
    assert f"\n  reconciler use {begun['models'][0]} --state " in told
    assert "reconciler apply" not in told
    assert "active: []" in (home.folder / "stack" / "desired.yaml").read_text()


def test_where_nothing_is_found_the_demo_models_are_written_and_can_be_planned(home: Home) -> None:
    home.server.kill()
    shutil.rmtree(home.folder / "home")
    begun = home.begin()
    assert begun["models"] == begun["steps"] == []
    assert "Nothing of your own was found" in init_text(begun)
    assert "start          tiny-a" in home.run("plan", "--state", "stack").stdout


def test_no_secret_is_written_or_shown(home: Home) -> None:
    shown = home.run("init", "stack")
    shown_as_json = home.run("init", "stack-2", "-o", "json").stdout
    texts = [path.read_text() for path in (home.folder / "stack").iterdir() if path.is_file()]
    assert len(texts) >= len(["desired", "inventory", "unit"])
    assert not any(HUSH in text for text in (shown.stdout, shown.stderr, shown_as_json, *texts))


def test_a_folder_that_is_taken_is_refused_and_nothing_is_looked_at(home: Home) -> None:
    home.run("init", "stack")
    before = {
        path.name: path.read_bytes() for path in (home.folder / "stack").iterdir() if path.is_file()
    }
    refused = home.run("init", "stack")
    assert refused.returncode == 4
    assert (
        "stack holds desired.yaml and inventory.yaml already, and nothing was written"
        in refused.stderr
    )
    assert {
        path.name: path.read_bytes() for path in (home.folder / "stack").iterdir() if path.is_file()
    } == before


def test_doctor_finds_what_is_wrong_and_changes_nothing(home: Home) -> None:
    home.begin()
    home.server.kill()
    inventory = home.folder / "stack" / "inventory.yaml"
    inventory.write_text(inventory.read_text().replace("llama-2-", "gone-"))
    found = home.run("doctor", "--state", "stack", "--data", "data")
    assert found.returncode == 1
    assert "wrong  weights local/gone-64x2" in found.stdout
    assert "note   git: desired.yaml or inventory.yaml differs from what git has" in found.stdout
    assert not (home.folder / "data").exists()
    assert home.run("doctor", "attic", "--state", "stack").returncode == 64
    broken = home.document("doctor", "--state", "nowhere")
    assert [one["subject"] for one in broken["findings"]] == ["files"]


def test_doctor_names_a_damaged_journal_with_the_way_out(home: Home) -> None:
    home.begin()
    home.server.kill()
    journal = home.folder / "data" / "journal"
    journal.mkdir(parents=True)
    (journal / "head").write_text("{}")
    (found,) = home.document("doctor", "--state", "stack", "--data", "data")["findings"]
    assert (
        found["subject"],
        found["found"].endswith("is damaged: the head file is there, the journal is not"),
    ) == (
        "journal",
        True,
    )
    assert found["fix"].startswith("To go on, move it aside (mv ")
