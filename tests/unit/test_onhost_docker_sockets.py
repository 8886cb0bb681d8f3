"""Which container engine is meant where no socket is named."""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from reconciler.onhost import docker_sockets
from reconciler.onhost.problem import HostProblem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Places:
    """The folder of sockets that are looked for, and those of them that listen."""

    def __init__(self, folder: Path, listening: ExitStack) -> None:
        self.folder = folder
        self._listening = listening

    def listen(self, name: str) -> str:
        self._bound(name).listen()
        return str(self.folder / name)

    def leave(self, name: str) -> str:
        """Leave a socket behind on which nothing listens any more."""
        self._bound(name).close()
        return str(self.folder / name)

    def _bound(self, name: str) -> socket.socket:
        made = self._listening.enter_context(closing(socket.socket(socket.AF_UNIX)))
        made.bind(str(self.folder / name))
        return made


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Places]:
    named = (f"{tmp_path}/docker.sock", "{runtime}/docker.sock", "{runtime}/podman.sock")
    monkeypatch.setattr(docker_sockets, "PLACES", named)
    (tmp_path / "user").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "user"))
    with ExitStack() as listening:
        yield Places(tmp_path, listening)


@pytest.mark.parametrize("name", ["docker.sock", "user/docker.sock", "user/podman.sock"])
def test_the_only_one_that_answers_is_meant(places: Places, name: str) -> None:
    assert docker_sockets.found("/named") == "/named"
    place = places.listen(name)
    assert docker_sockets.found("") == place


def test_of_two_that_answer_one_has_to_be_named(places: Places) -> None:
    places.listen("docker.sock")
    places.listen("user/podman.sock")
    with pytest.raises(HostProblem, match=r"docker.sock and .*/user/podman.sock both answer; name"):
        docker_sockets.found("")


def test_a_link_to_a_socket_is_that_socket(places: Places) -> None:
    podman = places.listen("user/podman.sock")
    (places.folder / "docker.sock").symlink_to(podman)
    assert docker_sockets.found("") == str(places.folder / "docker.sock")


def test_one_that_is_down_is_not_taken_for_another_that_answers(places: Places) -> None:
    down = places.leave("docker.sock")
    assert docker_sockets.found("") == down, "and asking it says why it does not answer"
    places.listen("user/podman.sock")
    with pytest.raises(HostProblem, match=r"user/podman.sock answers and .*docker.sock does not"):
        docker_sockets.found("")


def test_one_that_this_account_may_not_use_is_not_meant_where_another_answers(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, own = places.listen("docker.sock"), places.listen("user/podman.sock")
    refusals = {theirs: PermissionError()}
    monkeypatch.setattr(docker_sockets, "_refusal", refusals.get)
    assert docker_sockets.found("") == own
    monkeypatch.setattr(docker_sockets, "_refusal", lambda _: PermissionError())
    assert docker_sockets.found("") == theirs


@pytest.mark.usefixtures("places")
def test_where_none_is_it_is_told_where_was_looked() -> None:
    with pytest.raises(
        HostProblem, match=r"no container engine listens here .*docker.sock, .*user"
    ):
        docker_sockets.found("")
