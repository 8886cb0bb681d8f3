"""What the controller needs of its own machine: time, files, the journal, a lock, and whoever supervises it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeAlias

from pydantic import JsonValue

from reconciler.model.explanation import Written
from reconciler.model.problem import FileName, KeyPath
from reconciler.model.records import Instant, Record, Row
from reconciler.model.target import Wanted

Json: TypeAlias = dict[str, JsonValue]

Keep: TypeAlias = Callable[[Exception], str]
"""Keep the traceback of an error that nobody foresaw, and return in words what it was, and in which
file that is."""


class Clock(Protocol):
    """Tell time and wait."""

    def wall(self) -> float:
        """Return wall clock seconds since the epoch."""
        ...

    def boot(self) -> float:
        """Return seconds since the controller booted, suspended time included."""
        ...

    def instant(self) -> Instant:
        """Return now, by both clocks, and in which boot."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Random(Protocol):
    """Give chance."""

    def fraction(self) -> float:
        """Return a number in [0, 1)."""
        ...


class Source(Protocol):
    """Read desired state and inventory."""

    def read(self) -> Wanted:
        """Return both files as one resolved value; raise ConfigError with every problem."""
        ...


class Edits(Protocol):
    """Notice what becomes of both files, and that somebody may have written into the journal."""

    async def follow(
        self, tell: Callable[[Wanted | str], None], stir: Callable[[], Awaitable[None]]
    ) -> None:
        """Tell what the files ask for, now and whenever that changes, or why they cannot be used, until cancelled.

        `stir` is called whenever the journal may have moved, and now and then although it has not.
        """
        ...

    def look(self) -> None:
        """Read the files again now, changed or not."""
        ...


class Supervisor(Protocol):
    """Keep whoever started this process informed."""

    def ready(self) -> None:
        """Say that the work has begun."""
        ...

    def status(self, text: str) -> None:
        """Say in one line what is going on."""
        ...

    def alive(self) -> None:
        """Say that nothing hangs."""
        ...

    def stopping(self) -> None:
        """Say that this process is about to end."""
        ...

    @property
    def watchdog_seconds(self) -> float | None:
        """After how much silence this process is taken for hung, None when nobody listens."""
        ...


class Proposal(Source, Protocol):
    """Desired.yaml as it would read after an edit: read like any source, written only when asked."""

    @property
    def model(self) -> str:
        """The model that the edit makes the active one."""

    @property
    def host(self) -> str:
        """The host that the edit is about."""

    @property
    def path(self) -> str:
        """The file that would be written."""

    @property
    def diff(self) -> str:
        """The edit as a unified diff, empty when there is none."""

    def write(self) -> tuple[str, ...]:
        """Replace the content of the file, and return what else of it (its owner) could not be kept.

        Raise PlanStale when somebody changed it meanwhile, Unreachable when it cannot be written.
        """
        ...

    def commit(self, message: str) -> None:
        """Commit the file alone; raise Unreachable."""
        ...


class EditableSource(Source, Protocol):
    """Read desired state and inventory, say where what is written, and propose edits."""

    def written(self) -> Mapping[tuple[FileName, KeyPath], Written]:
        """Return what is written at every key of both files, as far as they can be read.

        Raise ConfigError without files.
        """
        ...

    def propose(self, model_name: str, host: str | None) -> Proposal:
        """Return the edit that makes a model the active one of its host.

        Raise Misused, or ConfigError.
        """
        ...


class JournalReader(Protocol):
    """Read what was recorded."""

    async def rows(self) -> Sequence[Row]:
        """Return all rows, oldest first.

        Raise JournalDamaged, or DurabilityError when they cannot be read now.
        """
        ...

    async def since(self, after: int) -> Sequence[Row]:
        """Return the rows after a number, oldest first; raise as `rows` does."""
        ...

    async def newest(self) -> int:
        """Return the number of the newest row, 0 when there is none; raise DurabilityError.

        Cheap enough to ask all the time.
        """
        ...


class Journal(JournalReader, Protocol):
    """Record durably."""

    async def append(self, record: Record) -> Row:
        """Write one record and return when kill -9 cannot take it, also where its caller is cancelled; raise WriteFailed.

        What a power cut must not take is durable too: only what will be observed again may wait for
        the next record.
        """
        ...


class Lock(Protocol):
    """Guard acting on one data directory."""

    def held(self, *, obeys: bool = False) -> AbstractContextManager[None]:
        """Hold the lock inside the context; raise LockHeld naming the holder.

        `obeys` tells others that they may ask.
        """
        ...


class PlanFiles(Protocol):
    """Keep plans in files."""

    def write(self, file: str, document: Json) -> None:
        """Write a plan's document; raise Unreachable."""
        ...

    def read(self, file: str) -> Json:
        """Return a plan's document; raise ConfigError when the file is not one."""
        ...


class StateFolder(Protocol):
    """Begin the folder of both files."""

    @property
    def directory(self) -> Path:
        """Where it is."""
        ...

    def refuse_taken(self) -> None:
        """Raise Refused when what would be written is there already."""
        ...

    def begin(self, files: Mapping[str, str]) -> str:
        """Write the files by name and commit them; return a sentence on what git has.

        Raise Refused or Unreachable.
        """
        ...
