"""The image of the controller is made of what is there, and holds nothing that it need not."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from reconciler.cli.arguments import parse
from tests.needs import program

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "container"
GUIDE = ROOT / "docs" / "install.md"
SECONDS = 120.0


def instructions() -> list[tuple[str, str]]:
    """List the instructions of the Dockerfile, each on one line."""
    text = (FOLDER / "Dockerfile").read_text().replace("\\\n", " ")
    lines = (line.strip() for line in text.splitlines())
    words = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return [(name, " ".join(rest.split())) for name, _, rest in words]


def copied() -> list[str]:
    found = [shlex.split(rest)[:-1] for name, rest in instructions() if name == "COPY"]
    return [path for paths in found for path in paths]


def composed(**environment: str) -> dict[str, Any]:
    """Return the service as the real program reads it."""
    done = subprocess.run(
        [program("docker-compose"), "-f", str(FOLDER / "compose.yaml"), "config"],
        capture_output=True, text=True, check=False, timeout=SECONDS,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nowhere", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    read = YAML(typ="safe", pure=True).load(done.stdout)
    service: dict[str, Any] = read["services"]["reconciler"]
    return service


def test_the_program_is_installed_as_the_guide_says() -> None:
    (installed,) = (rest for _, rest in instructions() if "pip install" in rest)
    typed = [line.replace("--no-cache-dir ", "") for line in installed.split(" && ")]
    for words in typed:
        assert re.search(rf"bin/{re.escape(words)}$", GUIDE.read_text(), re.MULTILINE), words


def test_what_the_image_says_is_a_command_line_that_is_understood() -> None:
    said = dict(instructions())
    words = [*json.loads(said["ENTRYPOINT"]), *json.loads(said["CMD"])]
    assert words[0] == "reconciler"
    assert parse(words[1:]).verb == "serve"
    assert said["USER"] == "reconciler"


def test_what_is_copied_is_all_that_a_wheel_is_made_of(tmp_path: Path) -> None:
    for name in copied():
        place = ROOT / name
        ignored = shutil.ignore_patterns("__pycache__")
        if place.is_dir():
            shutil.copytree(place, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(place, tmp_path / name)
    listed = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert {line[1:] for line in listed if line.startswith("!")} == set(copied())
    made = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "--wheel-dir", str(tmp_path / "out"), str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert list((tmp_path / "out").glob("*.whl"))


def test_no_engine_and_no_network_but_the_loopback_is_given_to_it() -> None:
    service = composed()
    (published,) = service["ports"]
    assert str(published).startswith("127.0.0.1:")
    assert ".sock" not in json.dumps(service)
    assert "devices" not in service
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True


def test_what_is_mounted_is_named_by_the_environment() -> None:
    mounted = json.dumps(composed(STATE="/srv/stack", KEYS="/srv/keys", ACCOUNT="1234"))
    assert "/srv/stack" in mounted
    assert "/srv/keys" in mounted
    assert "1234" in mounted
