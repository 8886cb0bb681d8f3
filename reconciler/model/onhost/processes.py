"""Requests of the process launcher: units that carry our mark, programs, logs."""

from typing import ClassVar, Literal

from pydantic import Field

from reconciler.model.facts import Mark, UnitIdentity
from reconciler.model.names import Value
from reconciler.model.onhost import ASK_SECONDS, Action, Batch, InDoubt, Question


class AskUnits(Question):
    """Ask for every process group that carries our mark and that no service keeps.

    `pids` limits the look to these leaders and their groups (faster).
    """

    batch: ClassVar[Batch] = "kernel"
    do: Literal["units"] = "units"
    pids: tuple[int, ...] | None = None


class AskProgram(Question):
    """Ask where a program is (a path, or a name to find on PATH) and whether it can run."""

    batch: ClassVar[Batch] = "files"
    do: Literal["program"] = "program"
    program: str


class AskFlags(Question):
    """Ask why a program would refuse a command line.

    It is known of one that lists its flags when it is run with `--help`. `program` is the program
    with the words that make it one, such as an interpreter's script; `words` is what follows.
    """

    do: Literal["flags"] = "flags"
    program: tuple[str, ...]
    words: tuple[str, ...]
    env: dict[str, str] = {}


class AskTail(Question):
    """Ask for the last lines of a log, or for what came after an earlier answer's `end`."""

    do: Literal["tail"] = "tail"
    path: str
    lines: int
    after: str = ""


class Spawned(Value):
    """A program to start in `directory`, marked and writing to `log`.

    Of the environment there it is given nothing that begins with one of `scrub`, but for the names
    in `keep`.
    """

    mark: Mark
    argv: tuple[str, ...]
    env: dict[str, str] = Field(repr=False)
    scrub: tuple[str, ...]
    keep: tuple[str, ...] = ()
    directory: str
    folders: tuple[str, ...]
    log: str


class Spawn(Action, Spawned):
    """Start a program in a session of its own; answers its identity."""

    in_doubt: ClassVar[InDoubt] = "observable"
    do: Literal["spawn"] = "spawn"


class StopProcess(Action):
    """End a process and its whole group: TERM, wait, TERM, wait, KILL until all are gone.

    `grace`, `again` and `kill` are seconds.
    """

    in_doubt: ClassVar[InDoubt] = "observable"
    do: Literal["stop"] = "stop"
    identity: UnitIdentity
    grace: float
    again: float
    kill: float

    @property
    def patience(self) -> float:
        """The time limits of each signal, and some."""
        return self.grace + self.again + self.kill + ASK_SECONDS


class Run(Action):
    """Run a program to its end within seconds; answers its exit code and what it said."""

    in_doubt: ClassVar[InDoubt] = "irreversible"
    do: Literal["run"] = "run"
    argv: tuple[str, ...]
    seconds: float
    env: dict[str, str] = {}

    @property
    def patience(self) -> float:
        """Its own time limit, and some."""
        return self.seconds + ASK_SECONDS
