"""Paths of a container, as they are on its host."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.onhost import docker_api, places
from reconciler.onhost.docker_api import DockerAnswer
from reconciler.onhost.places import Place, on_host
from reconciler.onhost.problem import HostProblem
from reconciler.onhost.serve import answer

if TYPE_CHECKING:
    from pathlib import Path

MOUNTS = [("/models", "/srv/models"), ("/models/kv", "/fast/kv"), ("/shm", ""), ("/all", "/")]
PLACE = Place("glm", MOUNTS, "sha256:1")
INSIDE = {"kind": "docker", "name": "glm", "socket": "/nowhere"}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/models", "/srv/models"),
        ("/models/a/b.gguf", "/srv/models/a/b.gguf"),
        ("/models/../models/x", "/srv/models/x"),
        ("/models/kv/s", "/fast/kv/s"),
        ("/all/etc", "/etc"),
        ("models/m/slots", "models/m/slots"),
    ],
)
def test_the_longest_mount_above_a_path_leads_to_it(path: str, found: str) -> None:
    assert on_host(path, PLACE) == found


@pytest.mark.parametrize("path", ["/modelsx/a", "/app/x", "/shm/x", "/models/../etc/passwd"])
def test_what_is_on_no_mount_of_the_host_is_named(path: str) -> None:
    with pytest.raises(HostProblem, match="lies inside container glm, where it cannot be reached"):
        on_host(path, PLACE)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    seen = {
        "Id": "a1",
        "Image": "sha256:1",
        "State": {"Running": False, "Pid": 0},
        "Config": {"Image": "server"},
        "HostConfig": {"NetworkMode": "host"},
        "Mounts": [{"Destination": "/m", "Source": str(tmp_path)}],
    }

    def told(*_: object) -> DockerAnswer:
        return DockerAnswer(200 if seen else 404, json.dumps(seen).encode())

    monkeypatch.setattr(docker_api, "ask", told)
    return seen


def test_a_folder_of_a_container_is_looked_at_on_the_host(
    engine: dict[str, Any], tmp_path: Path
) -> None:
    asked = {"do": "place", "folder": True, "inside": INSIDE}
    assert answer({**asked, "path": "/m"}, "/") == {"ok": {"problem": ""}}
    missing = answer({**asked, "path": "/m/x"}, "/")["ok"]["problem"]
    assert missing.startswith(f"{tmp_path}/x cannot be read")
    assert "lies inside container glm" in answer({**asked, "path": "/n"}, "/")["error"]
    engine.clear()
    assert "there is no container glm" in answer({**asked, "path": "/m"}, "/")["error"]


@pytest.mark.usefixtures("engine")
def test_what_a_conversation_depends_on_is_the_image_where_programs_are_on_no_mount(
    tmp_path: Path,
) -> None:
    asked = {
        "do": "fingerprint",
        "inside": INSIDE,
        "weights": ["/m/w"],
        "programs": ["llama-server", "/app/llama-server", "/m/llama-server"],
        "flags": ["streams 1"],
    }
    assert places.translated(asked) == {
        **asked,
        "weights": [f"{tmp_path}/w"],
        "programs": [f"{tmp_path}/llama-server"],
        "flags": ["streams 1", "image sha256:1"],
    }


def test_an_image_stands_for_the_programs_that_are_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = {"kind": "image", "name": "llama", "socket": "/nowhere"}
    answers = {"200": b'{"Id": "sha256:1"}', "404": b""}

    def ask(*_: object) -> DockerAnswer:
        status, body = answers.popitem()
        return DockerAnswer(int(status), body)

    monkeypatch.setattr(docker_api, "ask", ask)
    asked = {"do": "fingerprint", "weights": ["/w"], "programs": ["x"], "flags": ["-a"]}
    asked["inside"] = inside  # type: ignore[assignment]
    with pytest.raises(
        HostProblem, match="there is no image llama here; fetch it with `docker pull"
    ):
        places.translated(asked)
    assert places.translated(asked) == {
        **asked,
        "programs": [],
        "flags": ["-a", "image sha256:1"],
        "image": "sha256:1",
    }
    file = {"do": "gguf", "path": "/w", "inside": inside}
    assert places.translated(file) == file
