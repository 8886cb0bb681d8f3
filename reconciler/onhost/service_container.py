"""The container that a service makes at each start, by the words that make it.

They say the same of one that runs and of one that does not exist now. Only the image is asked
about, with the service's own client, which alone knows where its images are.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.onhost import commands, exec_start, run_words
from reconciler.onhost.problem import HostProblem
from reconciler.onhost.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.onhost.exec_start import ExecStart
    from reconciler.onhost.run_words import Mounts, RunWords

CLIENTS = ("docker", "podman")
"""Programs whose words are read."""

SECONDS = 10.0
FLAGS = "LLAMA_ARG_"
_HOLDS_SECONDS = 10.0
"""How long an image is not asked about again: its client takes 0.1 s of CPU to answer."""

_IMAGES: Remembered[dict[str, Any]] = Remembered(16)


class MadeContainer(NamedTuple):
    """What a container runs, as whom, and what is mounted in it; `image` is its image's id.

    `apart`: its network is its own.
    """

    words: list[str]
    variables: dict[str, str]
    directory: str
    user: str
    apart: bool
    mounts: Mounts
    image: str

    @property
    def flags(self) -> dict[str, str]:
        """Those of its variables that stand for flags of llama-server."""
        return {name: value for name, value in self.variables.items() if name.startswith(FLAGS)}


def is_client(program: str) -> bool:
    """Whether a program makes containers by words that are read here."""
    return os.path.basename(program) in CLIENTS


def of_service(name: str, scope: str) -> MadeContainer:
    """Describe the container of a service; raise HostProblem where none is known."""
    started = exec_start.read(name, scope)
    if started is None:
        raise HostProblem(f"{name} runs nothing")
    return made(started)


def made(started: ExecStart) -> MadeContainer:
    """Describe the container that a service makes; raise HostProblem."""
    try:
        words, variables = started.expanded()
    except OSError as error:
        raise HostProblem(f"{error.filename}, its environment, cannot be read") from error
    if not is_client(words[0]):
        raise HostProblem(f"{started.name} makes no container: it runs {words[0]}")
    run = run_words.read(words)
    image = _image(run, variables)
    config = image["Config"]
    return MadeContainer(
        words=_words(run, config),
        variables=_variables(run, config, variables),
        directory=run.last("--workdir") or config.get("WorkingDir") or "/",
        user=(run.last("--user") or config.get("User") or "").partition(":")[0],
        apart=run.last("--network") != "host",
        mounts=run.mounts,
        image=image["Id"],
    )


def _words(run: RunWords, config: dict[str, Any]) -> list[str]:
    given = run.last("--entrypoint")
    if given is None:
        return [*(config.get("Entrypoint") or []), *(run.argv or config.get("Cmd") or [])]
    # It is a program, or a list of words as JSON.
    entry = json.loads(given) if given.startswith("[") else [given] if given else []
    return [*entry, *run.argv]


def _variables(run: RunWords, config: dict[str, Any], outside: Mapping[str, str]) -> dict[str, str]:
    found = dict(word.partition("=")[::2] for word in config.get("Env") or [])
    for word in run.values("--env"):
        name, equals, value = word.partition("=")
        found[name] = value if equals else outside.get(name, "")
    return found


def _image(run: RunWords, variables: Mapping[str, str]) -> dict[str, Any]:
    """Describe the image of the container that runs, or of the next one."""
    at = int(time.monotonic() / _HOLDS_SECONDS)
    name = run.last("--name")
    key = (*run.client, name, run.image, at)
    return _IMAGES.get(key, lambda: _inspected(run, _running(run, name, variables), variables))


def _running(run: RunWords, name: str | None, variables: Mapping[str, str]) -> str:
    # The name of an image may mean another one since it was started.
    wanted = ["container", "inspect", "--format", "{{.Image}}", name or ""]
    done = _asked(run, wanted, variables) if name else None
    return done.out.strip() if done and not done.code else run.image


def _inspected(run: RunWords, image: str, variables: Mapping[str, str]) -> dict[str, Any]:
    done = _asked(run, ["image", "inspect", image], variables)
    if done.code:
        client = os.path.basename(run.client[0])
        raise HostProblem(f"`{client} image inspect {image}` says: {done.said}")
    described: dict[str, Any] = json.loads(done.out)[0]
    return described


def _asked(run: RunWords, words: list[str], variables: Mapping[str, str]) -> commands.Ended:
    try:
        return commands.run([*run.client, *words], SECONDS, variables)
    except commands.Late:
        raise HostProblem(f"{run.client[0]} did not answer within {SECONDS:g} s") from None
