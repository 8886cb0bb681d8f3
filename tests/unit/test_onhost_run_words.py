"""What the words of `podman run` say of its container."""

from __future__ import annotations

import re
import subprocess

import pytest

from reconciler.onhost import run_words
from reconciler.onhost.problem import HostProblem
from tests.needs import program

QUADLET = (
    "/usr/bin/podman run --name=systemd-llm --cidfile=/run/llm.cid --replace --rm --cgroups=split"
    " --sdnotify=conmon -d --device=nvidia.com/gpu=all -v /srv/models:/models:ro --network host"
    " ghcr.io/ggml-org/llama.cpp:server-cuda -m /models/a.gguf -v"
)


def test_a_unit_of_quadlet_says_what_it_makes() -> None:
    run = run_words.read(QUADLET.split())
    assert run.client == ["/usr/bin/podman"]
    assert run.image == "ghcr.io/ggml-org/llama.cpp:server-cuda"
    assert run.argv == ["-m", "/models/a.gguf", "-v"], "options behind the image are its own"
    assert (run.last("--name"), run.last("--network")) == ("systemd-llm", "host")
    assert run.mounts == [("/models", "/srv/models")]


@pytest.mark.parametrize(
    ("words", "mount"),
    [
        ("-v/a:/b", ("/b", "/a")),
        ("-v=/a:/b", ("/b", "/a")),
        ("-dv /a:/b:ro,z", ("/b", "/a")),
        ("-v /a:/b:O", ("/b", "")),
        ("--volume=/only", ("/only", "")),
        ("--volume name:/b", ("/b", "")),
        ("--mount type=bind,src=/a,dst=/b,ro", ("/b", "/a")),
        ("--mount type=bind,source=/a,target=/b", ("/b", "/a")),
        ("--mount type=volume,source=/a,destination=/b", ("/b", "")),
        ("--tmpfs /b:size=1m", ("/b", "")),
    ],
)
def test_mounts_are_read_as_they_are_spelled(words: str, mount: tuple[str, str]) -> None:
    run = run_words.read(f"podman --root /r container run {words} -it -- x y".split())
    assert (run.mounts, run.image, run.argv) == ([mount], "x", ["y"])
    assert run.client == ["podman", "--root", "/r"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("podman start -a llm", "`podman start` starts a container that exists"),
        ("podman run --rm", "ends before it names an image"),
        ("podman run --name", "ends before it names an image"),
        ("podman run --env-file /x i", "what `--env-file` does to its container is not read here"),
        ("podman run --rootfs /x i", "what `--rootfs` does"),
    ],
)
def test_what_does_not_say_itself_what_it_runs_is_named(words: str, why: str) -> None:
    with pytest.raises(HostProblem, match=why):
        run_words.read(words.split())


def test_podman_knows_the_same_options_without_a_value() -> None:
    shown = subprocess.run(
        [program("podman"), "run", "--help"], capture_output=True, text=True, check=True, timeout=10
    ).stdout
    switches = re.findall(r"(--[\w-]+)(?: {2,}|$)", shown, re.MULTILINE)
    assert set(switches) == run_words.SWITCHES
