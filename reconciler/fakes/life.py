"""One life of the controller: the calls that it makes at ports, and the one that kills it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint

if TYPE_CHECKING:
    from reconciler.model.records import Record, Row


class Killed(BaseException):
    """A kill -9: nothing catches it, and nothing that is dead does anything more."""


class Life:
    """One controller process, which counts its calls.

    It dies at the call of this number or, first, of this name; None for never.

    A call that acts is crossed before its effect, within it wherever the real one takes several
    steps, and after it: the last is the moment when the effect is there and not known yet.
    """

    def __init__(self, dies_at: int | str | None = None) -> None:
        self.calls: list[str] = []
        self.acts: list[str] = []
        self.dead = False
        self._dies_at = dies_at

    def cross(self, call: str) -> None:
        """Note a call; raise Killed at the last one of this life, and at every one after it."""
        if self.dead or self._dies_at in {len(self.calls), call}:
            self.dead = True
            raise Killed(call)
        self.calls.append(call)

    def acting(self, call: str) -> None:
        """Note a call that changes the world, before it does."""
        self.cross(call)
        self.acts.append(call)


class JournalRows(Protocol):
    """Rows that outlive their writers, in memory or in a file."""

    def since(self, after: int) -> Iterator[Row]:
        """Yield the rows after a number, oldest first."""
        ...

    def newest(self) -> int:
        """Look up the number of the newest row."""
        ...

    def append(self, record: Record) -> Row:
        """Write one record."""
        ...

    def check_room(self) -> None:
        """Find out whether a few rows could be written now; raise WriteFailed."""
        ...

    def reopen(self) -> None:
        """Write on after a write that failed."""
        ...


class MortalJournal:
    """A journal that is awaited, for as long as its writer lives.

    Other tasks have their turn whenever the real one would wait for its disk.
    """

    def __init__(
        self, journal: JournalRows, life: Life, then: Callable[[Row], None] = lambda _: None
    ) -> None:
        """Write to `journal`; `then` is told every row that is durable."""
        self._journal = journal
        self._life = life
        self._then = then

    async def since(self, after: int) -> Sequence[Row]:
        """Read the rows after a number, oldest first."""
        await checkpoint()
        self._life.cross("rows")
        return tuple(self._journal.since(after))

    async def parts(self, after: int) -> AsyncIterator[Sequence[Row]]:
        """Read the same, as one part."""
        rows = await self.since(after)
        if rows:
            yield rows

    async def newest(self) -> int:
        """Look up the number of the newest row."""
        await checkpoint()
        self._life.cross("newest")
        return self._journal.newest()

    async def append(self, record: Record) -> Row:
        """Write one record."""
        # Shielded as the real one is (ADR 20): a writer that is cancelled has recorded it.
        await cancel_shielded_checkpoint()
        kind = record.kind
        self._life.cross(f"append {kind}")
        row = self._journal.append(record)
        self._then(row)
        self._life.cross(f"appended {kind}")
        return row

    async def check_room(self) -> None:
        """Find out whether a few rows could be written now."""
        await checkpoint()
        self._journal.check_room()

    async def reopen(self) -> None:
        """Write on after a write that failed."""
        await checkpoint()
        self._journal.reopen()
