"""A service that makes a container at each start keeps its conversations, by the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from reconciler.drivers.engines import embedded
from tests.booted import booted_systemd
from tests.running import until
from tests.service_podman import ServicePodman
from tests.service_stack import ServiceStack
from tests.stack import COMMAND_SECONDS, ending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MADE = "{kind: systemd, unit: tiny.service, container: true}"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[ServiceStack]:
    with booted_systemd() as booted:
        made = ServiceStack(tmp_path, booted, MADE)
        outside, weights = tmp_path / "slots" / "another-name", made.weights
        argv = [
            word.replace(str(outside), "/kv").replace(str(weights.parent), "/models")
            for word in made.given
        ]
        podman = ServicePodman(booted, tmp_path)
        mounts = [f"{outside}:/kv", f"{weights.parent}:/models:ro"]
        booted.define("tiny.service", podman.unit("tiny", argv, mounts))
        named = [f"{made.llama_server()}", *argv[argv.index(str(embedded.SERVER)) + 1 :]]
        named[0] = named[0].replace(str(tmp_path), "/models")
        booted.define("named.service", podman.unit("named", named, mounts))
        with ending(made):
            yield made


def test_the_conversation_of_a_container_that_was_removed_comes_back(here: ServiceStack) -> None:
    here.apply()
    here.desire("tiny-b")
    assert "drop" not in here.apply().stderr
    assert here.serves()
    assert here.run("plan", "--detailed-exitcode").returncode == 0
    assert here.talk()["prompt_n"] > 1
    here.desire("tiny-a")
    here.apply()
    assert list(here.engines()) == ["tiny-a"]
    here.desire("tiny-b")
    here.apply()
    assert here.talk()["prompt_n"] == 1, "its conversation came back"


def test_a_service_that_makes_a_container_is_imported_and_the_plan_is_empty(
    here: ServiceStack,
) -> None:
    here.booted.run("systemctl", "start", "named.service")
    until(here.listens, COMMAND_SECONDS)
    imported = here.begin("import", "systemd")
    assert imported["served"] == ["named"]
    inventory = (here.folder / "state" / "inventory.yaml").read_text()
    assert "unit: named.service, scope: system, container: true}" in inventory
    until(lambda: here.run("plan", "--detailed-exitcode").returncode == 0)


def test_a_container_of_which_too_little_is_known_is_started_and_its_conversation_is_not_kept(
    here: ServiceStack,
) -> None:
    file = here.booted.path("/run/systemd/system/tiny.service")
    file.write_text(file.read_text().replace("--rm", "--rm --env-file /dev/null"))
    here.booted.run("systemctl", "daemon-reload")
    here.desire("tiny-b")
    started = here.apply()
    assert "`--env-file` does to its container is not read here" in started.stderr
    here.talk()
    here.desire("tiny-a")
    assert "tiny-b: conversations end here" in here.apply().stderr
    assert list(here.engines()) == ["tiny-a"]
