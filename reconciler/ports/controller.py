"""What the controller needs of its own machine: time, files, the journal, a lock, a supervisor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
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
"""Keep the traceback of an unforeseen error, and return in words what it was, and in which file
that is."""


class Clock(Protocol):
    """Time, and waiting for it."""

    def wall(self) -> float:
        """Wall clock seconds since the epoch."""
        ...

    def boot(self) -> float:
        """Seconds since the controller's machine booted, suspended time included."""
        ...

    def instant(self) -> Instant:
        """The present moment by both clocks, and in which boot."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Random(Protocol):
    """Chance, which tests replace by what they need."""

    def fraction(self) -> float:
        """A number in [0, 1)."""
        ...


class Source(Protocol):
    """Where desired state and inventory are read."""

    def read(self) -> Wanted:
        """Read both files as one resolved value; raise ConfigError with every problem."""
        ...


class Edits(Protocol):
    """What becomes of both files, and that the journal may have moved."""

    async def follow(
        self, tell: Callable[[Wanted | str], None], stir: Callable[[], Awaitable[None]]
    ) -> None:
        """Tell what the files ask for, now and whenever that changes, until cancelled.

        Files that cannot be used are told as the reason why. `stir` is called whenever the journal
        may have moved, and now and then although it has not.
        """
        ...

    def look(self) -> None:
        """Read the files again now, changed or not."""
        ...


class Supervisor(Protocol):
    """The program that started this process and wants to know how it is."""

    def ready(self) -> None:
        """Tell that the work has begun."""
        ...

    def status(self, text: str) -> None:
        """Tell in one line what is going on."""
        ...

    def alive(self) -> None:
        """Tell that nothing hangs."""
        ...

    def stopping(self) -> None:
        """Tell that this process is about to end."""
        ...

    @property
    def watchdog_seconds(self) -> float | None:
        """After how much silence this process is taken for hung, None when nothing listens."""
        ...


class Proposal(Source, Protocol):
    """An edit of desired.yaml: read like any source, and written only when asked."""

    # The plan that is shown before the edit is made by the code that makes every other plan.

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
        """Replace the content of the file; return what else of it (its owner) could not be kept.

        Raise PlanStale when it was changed in the meantime, Unreachable when it cannot be written.
        """
        ...

    def commit(self, message: str) -> None:
        """Commit the file alone; raise Unreachable."""
        ...


class EditableSource(Source, Protocol):
    """A source that knows what stands where in its files, and can propose edits of them."""

    def written(self) -> Mapping[tuple[FileName, KeyPath], Written]:
        """Look up what is written at every key of both files, as far as they can be read.

        Raise ConfigError without files.
        """
        ...

    def propose(self, model_name: str, host: str | None) -> Proposal:
        """Propose the edit that makes a model the active one of its host.

        Raise Misused, or ConfigError.
        """
        ...


class JournalReader(Protocol):
    """What was recorded."""

    # Awaited, because a disk may take its time while other hosts have work to do (ADR 0020).

    async def since(self, after: int) -> Sequence[Row]:
        """All rows after a number, oldest first.

        Raise JournalDamaged, or DurabilityError when they cannot be read now.
        """
        ...

    def parts(self, after: int) -> AsyncIterator[Sequence[Row]]:
        """All rows after a number, oldest first, a few at a time; raise as `since` does.

        Where they may be many, nothing else in this process has to wait for all of them.
        """
        ...

    async def newest(self) -> int:
        """The number of the newest row, 0 when there is none; raise DurabilityError.

        Cheap enough to ask all the time.
        """
        ...


class Journal(JournalReader, Protocol):
    """A journal that can be added to, durably."""

    async def append(self, record: Record) -> Row:
        """Write one record and return when kill -9 cannot take it; raise WriteFailed.

        It is written even when its caller is cancelled. A power cut cannot take it either, unless
        it will be observed again: such a record may wait for the next one.
        """
        ...

    async def check_room(self) -> None:
        """Find out whether a few rows could be written now; raise WriteFailed.

        Cheap enough for every pass, and nothing is written.
        """
        ...

    async def reopen(self) -> None:
        """Write on after a write that failed, if all that is there is right.

        Raise DurabilityError.
        """
        ...


class Lock(Protocol):
    """The right to act on one data directory, which one process has at a time."""

    def held(self, *, obeys: bool = False) -> AbstractContextManager[None]:
        """Take the lock for as long as the context lasts; raise LockHeld naming the holder.

        `obeys` tells others that they may ask this process to act for them.
        """
        ...


class PlanFiles(Protocol):
    """Saved plans."""

    def write(self, file: str, document: Json) -> None:
        """Write a plan's document; raise Unreachable."""
        ...

    def read(self, file: str) -> Json:
        """Read a plan's document; raise ConfigError when the file holds none."""
        ...


class StateFolder(Protocol):
    """The folder of both files before they are there."""

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
