"""A model that is a docker container, beside one that is a process, through the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.container_stack import ContainerStack
from tests.dockers import Dockerd
from tests.stack import ending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def here(docker: Dockerd, tmp_path: Path) -> Iterator[ContainerStack]:
    made = ContainerStack(tmp_path, docker)
    with ending(made):
        yield made
    docker.remove("tiny")


def test_a_container_and_a_process_take_turns(here: ContainerStack) -> None:
    here.takes_turns()


def test_a_container_that_runs_already_is_adopted(here: ContainerStack) -> None:
    here.dockerd.ask("POST", "/containers/tiny/start")
    before = here.pid()
    here.desire("tiny-b")
    here.apply()
    assert here.pid() == before


def test_a_container_that_fails_again_and_again_is_stopped_and_the_model_before_serves(
    here: ContainerStack,
) -> None:
    here.apply()
    here.container(
        ["/bin/sh", "-c", "echo no such card; sleep 0.1; exit 3"], RestartPolicy={"Name": "always"}
    )
    here.desire("tiny-b")
    here.apply(3)
    assert "no such card" in here.run("status").stdout
    assert here.dockerd.state("tiny")["Status"] == "exited"
    assert list(here.engines()) == ["tiny-a"]


def test_a_container_that_does_not_exist_refuses_the_plan_before_anything_is_stopped(
    here: ContainerStack,
) -> None:
    here.apply()
    engines = here.engines()
    here.dockerd.remove("tiny")
    here.desire("tiny-b")
    assert "there is no container tiny" in here.apply(4).stdout
    assert here.engines() == engines
