"""What a watch of files tells, while a script writes them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio

from reconciler.config.file_watch import FileEdits
from reconciler.config.source import FileSource
from reconciler.fakes.catalog import FakeCatalog
from tests.repository import git

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from reconciler.model.target import Wanted

DESIRED = "version: 1\nactive: {active}\n"
PATIENCE = 30.0


class Told:
    """Remember what was told, and wait for more of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.heard = folder, 0
        self.told: list[str] = []
        self.moved = anyio.Event()

    def take(self, told: Wanted | str) -> None:
        self.told.append(
            told if isinstance(told, str) else ",".join(told.slices["local"].active or ())
        )
        self.moved.set()

    async def stir(self) -> None:
        self.heard += 1
        self.moved.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until what was told or heard is so."""
        with anyio.fail_after(PATIENCE):
            while not condition():
                self.moved = anyio.Event()
                await self.moved.wait()

    async def happens(self) -> None:
        """Wait until what was written was seen, and read."""
        for number in range(3):
            before = self.heard
            (self.folder / "beside").write_text(str(number))
            await self.until(partial(self._has_heard, before + 1))

    def _has_heard(self, times: int) -> bool:
        return self.heard >= times

    async def becomes(self, said: Callable[[str], bool]) -> None:
        """Wait until the last thing told is this."""
        await self.until(lambda: bool(self.told) and said(self.told[-1]))

    async def is_active(self, name: str) -> None:
        await self.becomes(lambda told: told == name)

    def desire(self, active: str, comment: object = "") -> None:
        """Save as editors do: another file takes the name."""
        beside = self.folder / ".desired.yaml.swp"
        beside.write_text(DESIRED.format(active=active) + f"# {comment}\n")
        beside.replace(self.folder / "desired.yaml")

    def overwrite(self, active: str, comment: object = "") -> None:
        """Save in place, whole at once."""
        with (self.folder / "desired.yaml").open("r+b", buffering=0) as file:
            file.write(f"{DESIRED.format(active=active)}# {comment:>30}\n".encode())

    def commit(self, active: str, comment: object = "") -> None:
        """Save and commit, during which git locks its index."""
        self.desire(active, comment)
        git(self.folder, "commit", "-qam", str(comment))

    def touch(self, _active: str, _comment: object = "") -> None:
        """Save nothing."""
        (self.folder / "desired.yaml").touch()


def follow(
    told: Told, script: Callable[[FileEdits], Awaitable[None]], source: FileSource | None = None
) -> None:
    """Follow the files while a script runs."""

    async def all_of_it() -> None:
        edits = FileEdits(source or FileSource(told.folder, FakeCatalog()), told.folder.parent)
        async with anyio.create_task_group() as group:
            group.start_soon(edits.follow, told.take, told.stir)
            await told.is_active("a")
            await script(edits)
            group.cancel_scope.cancel()

    anyio.run(all_of_it)
