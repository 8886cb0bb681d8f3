"""The container that a service makes, by its words and its image."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.drivers.launchers import systemd
from reconciler.onhost import commands, exec_start, inner_systemd, service_container
from reconciler.onhost.commands import Ended, Late
from reconciler.onhost.exec_start import ExecStart
from reconciler.onhost.remembered import Remembered
from reconciler.onhost.serve import answer

if TYPE_CHECKING:
    from collections.abc import Mapping

STATE = {
    "MainPID": "0",
    "WorkingDirectory": "",
    "User": "",
    "Environment": "A=1",
    "UnsetEnvironment": "",
}
ASKED = {"do": "service-command", "name": "llm.service", "scope": "system", "container": True}
INSIDE = {"kind": "systemd", "name": "system/llm.service", "socket": ""}


class Podman:
    """A podman with one image, and a service that makes a container of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.config: dict[str, Any] = {"Entrypoint": ["/app/llama-server"], "Cmd": ["-x"]}
        self.running = Ended(125, "", "no such container")
        self.image: Ended | None = None
        self.asked: list[list[str]] = []
        self.words = ["/usr/bin/podman", "run", "--network=host", "--name", "llm", "i"]
        monkeypatch.setattr(service_container, "_IMAGES", Remembered(1))
        monkeypatch.setattr(commands, "run", self._run)
        monkeypatch.setattr(exec_start, "read", self._read)

    def _read(self, name: str, scope: str) -> ExecStart | None:
        state = {**STATE, "EnvironmentFiles": ""}
        return ExecStart(name, scope, self.words, [], state, {}) if self.words else None

    def _run(self, argv: list[str], _: float, __: Mapping[str, str]) -> Ended:
        self.asked.append(argv)
        if "container" in argv:
            return self.running
        described = [{"Id": f"id-of-{argv[-1]}", "Config": self.config}]
        return self.image or Ended(0, json.dumps(described), "")

    def told(self, *words: str, scope: str = "system") -> dict[str, Any]:
        self.words = [*self.words[:-1], *words]
        told: dict[str, Any] = answer({**ASKED, "scope": scope}, "/")
        return told


@pytest.fixture
def podman(monkeypatch: pytest.MonkeyPatch) -> Podman:
    return Podman(monkeypatch)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("i", ["/app/llama-server", "-x"]),
        ("i -m /m -a $A", ["/app/llama-server", "-m", "/m", "-a", "1"]),
        ("--entrypoint /o i", ["/o"]),
        ('--entrypoint ["/o","-p"] i -m', ["/o", "-p", "-m"]),
        ("--entrypoint= i /o", ["/o"]),
    ],
)
def test_an_image_says_what_its_words_do_not(
    podman: Podman, written: str, words: list[str]
) -> None:
    assert podman.told(*written.split())["ok"]["words"] == words
    assert podman.asked[-1] == ["/usr/bin/podman", "image", "inspect", "i"]


def test_what_runs_is_of_the_image_that_it_was_started_with(podman: Podman) -> None:
    podman.running = Ended(0, "abc\n", "")
    made = service_container.of_service("llm.service", "system")
    assert made.image == "id-of-abc"
    count = len(podman.asked)
    service_container.of_service("llm.service", "system")
    assert len(podman.asked) == count, "it is not asked about at each look"


def test_variables_and_folders_are_those_of_the_container(
    podman: Podman, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    podman.config = {"Env": ["LLAMA_ARG_FIT=on", "X=1"], "WorkingDir": "/app", "User": "7:7"}
    own = podman.told("--env=LLAMA_ARG_FIT=off", "-eA", "-v/a:/b", "-v/c", "--net=own", "i")["ok"]
    assert own["variables"] == {"LLAMA_ARG_FIT": "off"}
    assert (own["directory"], own["reached"], own["apart"]) == ("/app", ["/b"], True)
    assert own["user"] == "7"
    podman.config = {}
    assert podman.told("-u0", "i", scope="user")["ok"]["user"] == "", "root of a rootless podman"
    assert podman.told("i")["ok"]["user"] == "root"
    assert podman.told("-w/w", "i")["ok"]["directory"] == "/w"


def test_a_path_of_it_is_where_it_is_mounted_from(podman: Podman) -> None:
    podman.words[-1:] = ["-v", "/gone:/kv", "i"]
    asked = {"do": "place", "folder": True, "path": "/kv/x", "inside": INSIDE}
    assert "/gone/x" in answer(asked, "/")["ok"]["problem"]
    error = answer({**asked, "path": "/m"}, "/")["error"]
    assert error.startswith("/m lies inside container of llm.service")


def test_what_cannot_be_known_is_said(podman: Podman, monkeypatch: pytest.MonkeyPatch) -> None:
    podman.image = Ended(125, "", "i: image not known")
    unknown = podman.told("i")["ok"]
    assert unknown["problem"] == "`podman image inspect i` says: i: image not known"
    assert unknown["reached"] == [], "its paths are not the host's"

    def late(*_: object) -> None:
        raise Late

    monkeypatch.setattr(commands, "run", late)
    assert podman.told("i")["ok"]["problem"] == "/usr/bin/podman did not answer within 10 s"
    podman.words = ["/usr/bin/nerdctl", "run", "i"]
    assert "makes no container: it runs /usr/bin/nerdctl" in podman.told("i")["ok"]["problem"]
    without = answer({**ASKED, "container": False}, "/")["ok"]["problem"]
    assert without.endswith("with `launcher: docker`")
    podman.words = []
    asked = {"do": "place", "folder": True, "path": "/kv", "inside": INSIDE}
    assert answer(asked, "/") == {"error": "llm.service runs nothing"}


def test_a_service_that_was_not_said_to_make_one_is_told_how(
    podman: Podman, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {**ASKED, "container": False}
    assert podman.words
    told = answer(asked, "/")["ok"]["problem"]
    assert told.endswith("(podman); write `container: true` beside its launcher")
    monkeypatch.setattr(inner_systemd, "container", lambda _: "101")
    assert answer(asked, "/")["ok"]["problem"].endswith("with `launcher: docker`")


def test_only_a_service_that_exists_makes_a_container_by_itself() -> None:
    with pytest.raises(ValueError, match="container is of a service that exists"):
        systemd.Options(owned=True, container=True)
    assert systemd.inside(systemd.Options(), "a") is None
    inside = systemd.inside(systemd.Options(container=True, scope="user"), "a")
    assert inside is not None
    assert inside.name == "user/a.service"
