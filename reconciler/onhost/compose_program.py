"""The program that reads compose files: `docker compose`, `docker-compose` or `podman-compose`.

It is asked whether a service's definition changed, and makes its container; all else is asked of
the container engine. Seen with docker-compose 1.29.2 and podman-compose 1.6.0.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from reconciler.onhost import commands
from reconciler.onhost.problem import HostProblem
from reconciler.onhost.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Iterator

PROBE_SECONDS = 20.0
READ_SECONDS = 30.0
MAKE_SECONDS = 40.0
"""How long a container may take to be made; what has to be pulled first takes longer."""

_SAID = 300
_PODMAN = "podman-compose"
_WORDS = (("docker", "compose"), ("docker-compose",), (_PODMAN,))
_UNSET = "variable is not set"
_ENVIRONMENT = ".env"

_found: Remembered[str] = Remembered(8)
_hashes: Remembered[str] = Remembered(64)


class ComposeProgram(NamedTuple):
    """A program by its words, with its version."""

    words: tuple[str, ...]
    version: str

    @property
    def tells_hashes(self) -> bool:
        """Whether it can say what a service's label would be."""
        return self.words != (_PODMAN,)


class ComposeDefinition(NamedTuple):
    """What defines a service: its project, its files, and the engine that keeps its container."""

    project: str
    service: str
    files: tuple[str, ...]
    socket: str

    @property
    def named(self) -> str:
        """What messages call it."""
        return f"{self.service} of the compose project {self.project}"

    def typed(self, program: tuple[str, ...]) -> list[str]:
        """Write the words with which a program is told of the project."""
        files = [word for file in self.files for word in ("-f", file)]
        return [*program, "-p", self.project, *files]


def program(*, of_podman: bool) -> ComposeProgram | None:
    """Find the program, None where there is none; podman's own first where that is the engine."""
    order = reversed(_WORDS) if of_podman else _WORDS
    return next((one for words in order for one in _probed(words)), None)


def _probed(words: tuple[str, ...]) -> Iterator[ComposeProgram]:
    try:
        version = _found.get(words, lambda: _version(words))
    except (OSError, HostProblem):
        # What is not there now may be installed later, so that is not remembered.
        return
    yield ComposeProgram(words, version)


def _version(words: tuple[str, ...]) -> str:
    # podman-compose has no short form, and is not compared.
    how = [] if words == (_PODMAN,) else ["--short"]
    return _run([*words, "version", *how], "", PROBE_SECONDS).out.strip().removeprefix("v")


def project_name(written: str) -> str:
    """Write a project's name as docker's compose programs have it on what they make."""
    return re.sub(r"^[-_]+|[^a-z0-9_-]", "", written.lower())


def missing(definition: ComposeDefinition) -> str:
    """Tell which of its files is not there, "" where all are."""
    gone = [file for file in definition.files if not os.path.isfile(file)]
    return f"there is no compose file {gone[0]}" if gone else ""


def hash_of(found: ComposeProgram, definition: ComposeDefinition) -> str:
    """Ask what a service's label would be if its container was made now; raise HostProblem."""
    return _hashes.get((found, definition, *stamps(definition)), lambda: _hash(found, definition))


def stamps(definition: ComposeDefinition) -> Iterator[tuple[int, int] | None]:
    """Tell of each file that says what a service is when it was last written, and its size."""
    beside = os.path.join(os.path.dirname(definition.files[0]), _ENVIRONMENT)
    for file in (*definition.files, beside):
        yield _stamp(file)


def _stamp(file: str) -> tuple[int, int] | None:
    try:
        status = os.stat(file)
    except OSError:
        return None
    # A file that takes another's place has its own time of writing, but not of that.
    return max(status.st_mtime_ns, status.st_ctime_ns), status.st_size


def is_newer(definition: ComposeDefinition, nanoseconds: int) -> bool:
    """Whether one of those files was written since then."""
    written = stamps(definition) if definition.files else ()
    return any(one is not None and one[0] > nanoseconds for one in written)


def _hash(found: ComposeProgram, definition: ComposeDefinition) -> str:
    argv = [*definition.typed(found.words), "config", "--hash", definition.service]
    done = _run(argv, definition.socket, READ_SECONDS)
    if _UNSET in done.err:
        raise HostProblem(f"it reads variables that are not set here ({_last(done.err)})")
    # The service's name, and the hash.
    return done.out.split()[-1]


def written_out(found: ComposeProgram, definition: ComposeDefinition) -> str:
    """Ask for all that its files say, as the program understands it; raise HostProblem."""
    return _run([*definition.typed(found.words), "config"], definition.socket, READ_SECONDS).out


def make(found: ComposeProgram, definition: ComposeDefinition) -> None:
    """Make a service's container, again where its definition changed, and leave it stopped."""
    words = ("up", "--no-start", "--no-deps", "--no-build", definition.service)
    argv = [*definition.typed(found.words), *words]
    _run(argv, definition.socket, MAKE_SECONDS)


def _run(argv: list[str], socket: str, seconds: float) -> commands.Ended:
    """Run the program; raise HostProblem with its own words."""
    typed = " ".join(argv)
    try:
        done = commands.run(argv, seconds, {"DOCKER_HOST": f"unix://{socket}"} if socket else {})
    except commands.Late:
        raise HostProblem(f"`{typed}` did not end within {seconds:g} s; run it yourself") from None
    if done.code:
        raise HostProblem(f"`{typed}` says: {_last(done.err or done.out)}")
    return done


def _last(text: str) -> str:
    """Shorten what a program said to its last words, where the reason is."""
    words = " ".join(text.split())
    return words if len(words) <= _SAID else "... " + words[-_SAID:].partition(" ")[2]
