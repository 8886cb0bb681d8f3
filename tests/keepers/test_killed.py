"""After kill -9 while a keeper of units acts, one engine serves, and nothing is left or touched."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from tests.container_stack import ContainerStack, OwnedContainerStack
from tests.dockers import podman
from tests.lxc_stack import LxcStack
from tests.service_stack import ServiceStack
from tests.stack import ending
from tests.talk import THERE_AND_BACK, Talk, begun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.lxcs import Lxc
    from tests.stack import Stack

KINDS = ("docker", "docker-owned", "podman-owned", "lxc", "systemd")
KEEPER_ACTS = THERE_AND_BACK[4:]
STRANGER = "stranger"
SLEEP = ("/bin/sleep", "3600")


@contextmanager
def beside_stranger(made: ContainerStack) -> Iterator[ContainerStack]:
    """Have a container beside it that is nobody's model, and must not be touched."""
    engine = made.dockerd
    engine.create(STRANGER, SLEEP, made.folder)
    engine.ask("POST", f"/containers/{STRANGER}/start")
    before = engine.state(STRANGER)
    yield made
    assert engine.state(STRANGER) == before
    for name in (made.name, STRANGER):
        engine.remove(name)


@contextmanager
def of_lxc(folder: Path, lxc: Lxc) -> Iterator[Stack]:
    made = LxcStack(folder, lxc)
    yield made
    lxc.remove(made.name)


@contextmanager
def of_podman(folder: Path) -> Iterator[Stack]:
    with podman() as engine, beside_stranger(OwnedContainerStack(folder, engine)) as made:
        yield made


def keeping(kind: str, folder: Path, given: Callable[[str], Any]) -> AbstractContextManager[Stack]:
    match kind:
        case "docker":
            return beside_stranger(ContainerStack(folder, given("docker")))
        case "docker-owned":
            return beside_stranger(OwnedContainerStack(folder, given("docker")))
        case "podman-owned":
            return of_podman(folder)
        case "lxc":
            return of_lxc(folder, given("lxc"))
        case _:
            return nullcontext(ServiceStack(folder, given("booted")))


@pytest.fixture(scope="module", params=KINDS)
def here(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Talk]:
    """Give two models that both hold the conversation; tiny-a, which is a process, serves."""
    folder = tmp_path_factory.mktemp("stack")
    with keeping(request.param, folder, request.getfixturevalue) as made, ending(made):
        yield begun(made)


@pytest.mark.parametrize(("there", "back"), KEEPER_ACTS)
def test_kill_9_on_the_way_there_and_back_leaves_one_engine_and_every_conversation(
    here: Talk, there: str, back: str
) -> None:
    here.goes_there_and_back(there, back)
    if isinstance(here.stack, OwnedContainerStack):
        assert len(here.stack.named()) <= 1, "what ended is kept for its log"
