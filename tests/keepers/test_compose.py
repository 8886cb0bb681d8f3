"""A model that is a compose service, beside one that is a process, through the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.composed import PROJECT, Project
from tests.dockers import Dockerd
from tests.given_stack import GivenStack
from tests.stack import ending

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class ComposeStack(GivenStack):
    """`reconciler` beside a dockerd that has tiny-b as a service of a project."""

    def __init__(self, folder: Path, docker: Dockerd) -> None:
        self.project = Project(docker, folder, "tiny")
        options = f"project: {PROJECT}, service: tiny, file: {self.project.file}"
        super().__init__(folder, f"{{kind: compose, {options}, socket: {docker.socket}}}")
        self.project.define(self.given)

    def runs(self) -> list[str]:
        """Return the ids of its containers that run."""
        return [one["Id"] for one in self.project.containers() if one["State"] == "running"]


@pytest.fixture
def here(docker: Dockerd, tmp_path: Path) -> Iterator[ComposeStack]:
    made = ComposeStack(tmp_path, docker)
    with ending(made):
        yield made
    made.project.remove()


def test_a_service_and_a_process_take_turns_and_a_changed_file_starts_it_again(
    here: ComposeStack,
) -> None:
    healthy = here.run("doctor")
    assert healthy.returncode == 0, healthy.stdout
    here.desire("tiny-b")
    here.apply()
    (first,) = here.runs()
    assert here.run("plan", "--detailed-exitcode").returncode == 0
    assert here.talk()["prompt_n"] > 1
    here.desire("tiny-a")
    here.apply()
    assert (here.runs(), list(here.engines())) == ([], ["tiny-a"])
    here.desire("tiny-b")
    here.apply()
    assert here.runs() == [first]
    assert here.talk()["prompt_n"] == 1, "its conversation came back"
    here.project.define(here.given, environment={"MORE": "1"})
    assert "its definition changed" in here.apply().stderr
    (second,) = here.runs()
    assert second != first
    assert here.talk()["prompt_n"] == 1
    here.project.file.unlink()
    planned = here.run("plan", "--detailed-exitcode")
    assert planned.returncode == 0
    assert "whether its compose file changed is not seen: there is no" in planned.stdout


def test_a_service_that_cannot_be_made_refuses_the_plan_before_anything_is_stopped(
    here: ComposeStack,
) -> None:
    here.apply()
    engines = here.engines()
    here.project.file.write_text("services: [")
    here.desire("tiny-b")
    assert "config --hash tiny` says: " in here.apply(4).stdout
    assert here.engines() == engines


def test_a_missing_image_refuses_the_plan_before_anything_is_stopped(here: ComposeStack) -> None:
    here.apply()
    engines = here.engines()
    here.project.define(here.given, image="no/such:1")
    here.desire("tiny-b")
    assert f"-f {here.project.file} pull tiny`" in here.apply(4).stdout
    here.project.define(here.given)
    here.apply()
    (first,) = here.runs()
    here.project.define(here.given, image="no/such:1")
    assert "there is no image no/such:1 here" in here.apply(4).stdout
    assert here.runs() == [first]
    here.desire("tiny-a")
    here.apply()
    assert here.engines().keys() == engines.keys()
    here.desire("tiny-b")
    assert "there is no image no/such:1 here" in here.apply(4).stdout
    assert here.engines().keys() == engines.keys()
