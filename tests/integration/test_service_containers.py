"""A service that makes a container at each start keeps its conversations, by the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.booted import booted_systemd
from tests.service_podman import ServicePodman
from tests.service_stack import ServiceStack
from tests.stack import ending

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
