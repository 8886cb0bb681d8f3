"""Save slots: room, a fresh file, the engine's word checked, then sealed.

A failed save leaves the last good one.

The server truncates its target in place and writes without fsync, so it never writes to a name that
counts. It defers a save until the slot is free, so that a busy one is not even tried. A sleeping
server would wake and save empty slots.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import anyio

from reconciler.errors import DriverError
from reconciler.model.facts import Sidecar
from reconciler.model.onhost.slots import MakeRoom, SealSlot
from reconciler.steps.save_slots import file_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import JsonValue

    from reconciler.drivers.engines.llama.api import LlamaApi
    from reconciler.model.facts import Slot, Unit
    from reconciler.ports import Access, Json

BYTES_PER_SECOND = 100_000_000
SLACK_SECONDS = 15.0
SPARE_BYTES = 64 * 1024
"""For the header of a slot file, whose length depends on the layers of a model."""

UNKNOWN_BYTES_PER_TOKEN = 256 * 1024


class WrittenSlot(NamedTuple):
    """An engine's word on a file that it wrote."""

    tokens: int
    bytes: int
    milliseconds: float


@dataclass
class Saving:
    """A save of the slots of one unit, into one directory.

    `bytes_per_token` is 0 when not known, `kept` are files that must stay. Other models may use a
    `shared` directory.
    """

    api: LlamaApi
    access: Access
    unit: Unit
    directory: str
    budget: int
    fingerprint: str
    bytes_per_token: int
    wall: Callable[[], float]
    shared: bool = False
    kept: list[str] = field(default_factory=list)

    async def save(self, wanted: tuple[Slot, ...]) -> Json:
        """Save slots one by one; the answer has a sentence for each that could not be saved."""
        now = {place.slot.id: place.slot for place in await self.api.places()}
        slots = [now.get(one.id, one) for one in wanted if one.holds_conversation]
        saved: list[JsonValue] = []
        failed: list[JsonValue] = []
        for slot in slots:
            try:
                saved.append(await self._save(slot))
            except DriverError as error:
                failed.append(f"slot {slot.id} was not saved: {error.message}")
        if failed:
            await self._clear_leftovers()
        return {"slots": saved, "failed": failed}

    async def _save(self, slot: Slot) -> Json:
        if slot.busy:
            raise DriverError("it is generating; a save would wait for it")
        if not slot.holds_conversation:
            raise DriverError("its conversation is gone")
        file, written = self._file(slot), await self._written(slot)
        began = anyio.current_time()
        await self.access.act(self._seal(slot, file, written))
        self.kept.append(file)
        seal_ms = (anyio.current_time() - began) * 1000
        return {
            "slot": slot.id,
            "tokens": written.tokens,
            "bytes": written.bytes,
            "save_ms": round(written.milliseconds, 1),
            "seal_ms": round(seal_ms, 1),
        }

    async def _written(self, slot: Slot) -> WrittenSlot:
        needed, spare = self._bytes(slot)
        await self.access.act(self._room(needed, spare))
        deadline = (needed + spare) / BYTES_PER_SECOND + SLACK_SECONDS
        temporary = f"{self._file(slot)}.tmp"
        written = WrittenSlot(*await self.api.save(slot.id, temporary, deadline))
        if not written.tokens:
            raise DriverError("the engine wrote no tokens; it holds nothing")
        return written

    def _bytes(self, slot: Slot) -> tuple[int, int]:
        """Estimate how long a file will be at least, and how much longer it may be."""
        tokens = slot.tokens or 0
        # Apart from what is certainly needed: what may just fit is tried.
        unknown = 0 if self.bytes_per_token else tokens * UNKNOWN_BYTES_PER_TOKEN
        return file_bytes(tokens, self.bytes_per_token), SPARE_BYTES + unknown

    def _file(self, slot: Slot) -> str:
        # No other content ever had this name: it tells of the process, and how far that was.
        identity = self.unit.identity
        process = f"{identity.boot_id[:8]}-{identity.pid}-{identity.start}"
        return f"slot{slot.id}-{process}-{slot.task}-{slot.tokens}.kv"

    def _room(self, needed: int, spare: int = 0) -> MakeRoom:
        return MakeRoom(
            directory=self.directory,
            needed=needed,
            budget=self.budget,
            keep=tuple(self.kept),
            spare=spare,
            shared=self.shared,
        )

    def _seal(self, slot: Slot, file: str, written: WrittenSlot) -> SealSlot:
        sidecar = Sidecar(
            slot=slot.id,
            tokens=written.tokens,
            fingerprint=self.fingerprint,
            saved_at=self.wall(),
            identity=self.unit.identity,
            slot_tokens=slot.tokens or 0,
            task=slot.task,
        )
        return SealSlot(
            directory=self.directory,
            temporary=f"{file}.tmp",
            file=file,
            size=written.bytes,
            sidecar=sidecar,
            shared=self.shared,
        )

    async def _clear_leftovers(self) -> None:
        """Remove what a failed save left; the next save would do it too."""
        with suppress(DriverError):
            await self.access.act(self._room(0))
