"""A model that has a container of its own, beside one that is a process, by the command line."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.container_stack import OwnedContainerStack
from tests.dockers import Dockerd, dockerd, podman
from tests.stack import ending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

ENGINES: dict[str, Callable[[], AbstractContextManager[Dockerd]]] = {
    "docker": dockerd,
    "podman": podman,
}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Dockerd]:
    with ENGINES[request.param]() as one:
        yield one


def laid_out(folder: Path, engine: Dockerd) -> Iterator[OwnedContainerStack]:
    made = OwnedContainerStack(folder, engine)
    with ending(made):
        yield made
    engine.remove(made.name)


@pytest.fixture
def here(engine: Dockerd, tmp_path: Path) -> Iterator[OwnedContainerStack]:
    yield from laid_out(tmp_path, engine)


@pytest.fixture
def beside(docker: Dockerd, tmp_path: Path) -> Iterator[OwnedContainerStack]:
    yield from laid_out(tmp_path, docker)


def test_a_conversation_survives_a_switch_and_back(here: OwnedContainerStack) -> None:
    here.desire("tiny-b")
    here.apply()
    assert here.pid()
    assert here.engines() == {}, "its mark is not in its environment"
    held = here.leaves_saved()
    assert here.pid() == 0
    here.comes_back_with(held)
    assert len(here.named()) == 1


def test_what_cannot_be_made_refuses_the_plan_before_anything_is_stopped(
    beside: OwnedContainerStack,
) -> None:
    beside.apply()
    engines = beside.engines()
    beside.dockerd.create(beside.name, ["/bin/true"], beside.folder)
    before = beside.named()
    beside.desire("tiny-b")
    taken = f"there is a container {beside.name} that was not made from here"
    assert taken in beside.apply(4).stdout
    file = beside.folder / "state" / "inventory.yaml"
    file.write_text(file.read_text().replace("localhost/empty", "localhost/llama:cuda"))
    missing = (
        "there is no image localhost/llama:cuda here; fetch it with `docker pull localhost/llama"
    )
    assert missing in beside.apply(4).stdout
    assert (beside.engines(), beside.named()) == (engines, before)


def test_one_that_fails_at_its_start_leaves_the_model_before_it_serving(
    beside: OwnedContainerStack,
) -> None:
    beside.apply()
    file = beside.folder / "state" / "inventory.yaml"
    broken = "kind: llamacpp, binary: /bin/false, weights"
    file.write_text(file.read_text().replace("kind: embedded, weights", broken))
    beside.desire("tiny-b")
    beside.apply(3)
    assert (beside.pid(), list(beside.engines())) == (0, ["tiny-a"])


def test_a_model_moves_from_a_process_to_a_container_and_back(
    beside: OwnedContainerStack,
) -> None:
    here = beside
    file = here.folder / "state" / "inventory.yaml"
    inventory = file.read_text()
    launcher = next(line for line in inventory.splitlines() if "launcher:" in line)
    file.write_text(inventory.replace(launcher, "    launcher: process"))
    here.desire("tiny-b")
    here.apply()
    file.write_text(inventory)
    assert "its launcher changed from process to docker" in here.apply().stderr
    assert (bool(here.pid()), here.engines()) == (True, {})
    file.write_text(inventory.replace(launcher, "    launcher: process"))
    assert "its launcher changed from docker to process" in here.apply().stderr
    assert (here.pid(), list(here.engines())) == (0, ["tiny-b"])


def test_another_definition_of_it_starts_it_again(beside: OwnedContainerStack) -> None:
    beside.desire("tiny-b")
    beside.apply()
    first = beside.named()
    file = beside.folder / "state" / "inventory.yaml"
    file.write_text(file.read_text().replace('"image":', '"env": {"MORE": "1"}, "image":'))
    assert "its definition changed" in beside.run("plan").stdout
    beside.apply()
    assert beside.pid()
    assert beside.named() != first
    assert beside.run("plan", "--detailed-exitcode").returncode == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_while_dockerd_is_away_nothing_is_started_beside_it(
    beside: OwnedContainerStack, how: signal.Signals
) -> None:
    beside.desire("tiny-b")
    beside.apply()
    beside.dockerd.end(how)
    try:
        assert "dockerd does not answer" in beside.run("status").stdout
        said = beside.apply(4).stdout
        assert "`systemctl status docker` says more" in said
        beside.desire("tiny-a")
        beside.apply(4)
        assert beside.engines() == {}
    finally:
        beside.dockerd.begin()
    beside.desire("tiny-b")
    beside.apply()
    assert beside.pid()
    assert (len(beside.named()), beside.engines()) == (1, {})
    assert beside.talk()["prompt_n"] > 0


def test_while_dockerd_is_away_a_process_goes_on(beside: OwnedContainerStack) -> None:
    beside.apply()
    engines = beside.engines()
    beside.dockerd.end(signal.SIGTERM)
    try:
        assert beside.talk()["prompt_n"] > 0
        beside.desire("tiny-b")
        assert "dockerd does not answer" in beside.apply(4).stdout
        assert beside.engines() == engines
    finally:
        beside.dockerd.begin()
    beside.apply()
    assert beside.pid()
