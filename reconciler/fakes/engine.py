"""The engine port and the shelf port over a world, as careful as a real driver: checked, noted before and after, proven."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from reconciler.errors import DriverError
from reconciler.fakes.host import Host
from reconciler.fakes.world import Conversation, Place, Process, SlotFile
from reconciler.model.facts import (
    TRIVIAL_TOKENS,
    Activity,
    Answer,
    Fact,
    Fingerprint,
    Health,
    RestoreAttempt,
    Saved,
    SavedSlot,
    Slot,
    Unit,
    Weights,
)
from reconciler.model.spec import ModelSpec
from reconciler.ports import Evidence

BYTES_PER_TOKEN = 1000
CANARY = Conversation("canary", 1)


@dataclass(frozen=True)
class FakeEngine:
    """Use one model's engine, and look at what the model keeps."""

    host: Host
    model: ModelSpec

    async def health(self, unit: Unit) -> Fact[Health]:
        """Return how far it is."""
        return await self.host.see("health", lambda: self._health(unit))

    async def activity(self, unit: Unit) -> Fact[Activity]:
        """Return its slots, Unknown when it does not serve."""
        return await self.host.see("activity", lambda: Activity(identity=unit.identity, slots=self._slots(self._reached(unit))))

    async def answer(self, unit: Unit) -> Fact[Answer]:
        """Let it give one answer, which touches no conversation."""
        return await self.host.see("answer", lambda: self._answer(unit))

    async def save(self, unit: Unit, activity: Activity) -> Evidence:
        """Save and seal what the slots hold; raise DriverError when the engine does not serve."""
        self.host.world.intended("save_slots")
        process = self._reached(unit)
        saved: list[JsonValue] = []
        for slot in activity.slots:
            place = process.places[slot.id]
            if place.held is None or place.held.tokens <= TRIVIAL_TOKENS or place.busy_until > self.host.world.now:
                continue
            file = SlotFile(self.model.name, place.held, self.host.world.fingerprint(self.model.name))
            await self.host.act("save", lambda file=file: self.host.world.files.append(file))  # type: ignore[misc]
            self._seal(file, slot.id, place, unit)
            self.host.life.cross("save, sealed")
            saved.append({"slot": slot.id, "tokens": place.held.tokens})
        return {"slots": saved, "failed": []}

    def _seal(self, file: SlotFile, slot: int, place: Place, unit: Unit) -> None:
        """Give a file that is there its sidecar, and drop the one that it replaces."""
        world = self.host.world
        if file not in world.files:
            raise DriverError(f"slot {slot} was not saved: the engine wrote no file")
        tokens = file.holds.tokens if file.holds else 0
        file.sidecar = SavedSlot(
            file=f"{self.model.name}-{slot}-{unit.identity.pid}-{unit.identity.start}-{place.task}-{tokens}.kv",
            slot=slot, tokens=tokens, bytes=tokens * BYTES_PER_TOKEN, sha256="", fingerprint=file.fingerprint,
            saved_at=world.clock.wall(), identity=unit.identity, slot_tokens=tokens, task=place.task,
        )  # fmt: skip
        world.files = [one for one in world.files if one is file or not self._is_older(one, slot)]

    def _is_older(self, file: SlotFile, slot: int) -> bool:
        return file.model == self.model.name and (file.sidecar is None or file.sidecar.slot == slot)

    async def restore(self, unit: Unit, saved: Saved) -> Evidence:
        """Put saved slots back and prove them; raise DriverError when the engine does not serve."""
        self.host.world.intended("restore_slots")
        process = self._reached(unit)
        slots: list[JsonValue] = []
        for one in saved.slots:
            outcome = await self._restored(one, process)
            self._note(one.file, unit, outcome)
            self.host.life.cross("restore, noted")
            slots.append({"slot": one.slot, "tokens": one.tokens, "outcome": outcome})
        return {"slots": slots}

    async def _restored(self, one: SavedSlot, process: Process) -> str:
        """Return what came of one slot: its file is put in only when nothing speaks against it, and noted before."""
        file = self._file(one.file)
        place = process.places[one.slot]
        held = place.held
        if file is None or file.holds is None or one.fingerprint != self.host.world.fingerprint(self.model.name):
            return "cold"
        if held == file.holds:
            return "proven"
        if held is not None and held.tokens > TRIVIAL_TOKENS:
            return "cold"
        self._note(one.file, one, "open", process)
        self.host.life.cross("restore, about to")
        await self.host.act("restore", lambda: self.host.world.put(file, process, place))
        return "failed" if process.nature.restores in {"badly", "deadly"} else "proven" if place.held == file.holds else "cold"

    def _note(self, name: str, unit: Unit | SavedSlot, outcome: str, process: Process | None = None) -> None:
        """Write an attempt into a sidecar in place of the one before for the same unit."""
        identity = process.identity if process else unit.identity
        file = self._file(name)
        if file is None or file.sidecar is None:
            raise DriverError(f"{name} is gone")
        others = tuple(tried for tried in file.sidecar.attempts if tried.identity != identity)
        tried = RestoreAttempt.model_validate({"identity": identity, "outcome": outcome})
        file.sidecar = file.sidecar.model_copy(update={"attempts": (*others, tried)})

    async def weights(self) -> Fact[Weights]:
        """Return the weights file."""
        plain = Weights(path=f"{self.model.name}.gguf", exists=True, size=1000, architecture="llama", kv_bytes_per_token=1000)
        return await self.host.see("weights", lambda: self.host.world.weights.get(self.model.name, plain))

    async def saved(self) -> Fact[Saved]:
        """Return the sealed slots."""
        return await self.host.see("saved", lambda: Saved(slots=self._sealed()))

    async def fingerprint(self) -> Fact[Fingerprint]:
        """Return what a saved slot depends on now."""
        return await self.host.see("fingerprint", lambda: Fingerprint(digest=self.host.world.fingerprint(self.model.name)))

    def _sealed(self) -> tuple[SavedSlot, ...]:
        mine = (file.sidecar for file in self.host.world.files if file.model == self.model.name)
        return tuple(sorted((one for one in mine if one), key=lambda one: one.slot))

    def _file(self, name: str) -> SlotFile | None:
        return next((file for file in self.host.world.files if file.sidecar and file.sidecar.file == name), None)

    def _process(self, unit: Unit) -> Process | None:
        _ = self.host.world.now
        return next((one for one in self.host.world.processes if one.identity == unit.identity), None)

    def _serving(self, unit: Unit) -> Process | None:
        process = self._process(unit)
        return process if process and process.is_ready(self.host.world.now) else None

    def _reached(self, unit: Unit) -> Process:
        process = self._serving(unit)
        if process is None:
            raise DriverError(f"{self.model.name} does not answer")
        return process

    def _health(self, unit: Unit) -> Health:
        process = self._process(unit)
        now = self.host.world.now
        owner = self.host.world.on_port(self.model.port)
        if process is None:
            return Health(phase="absent")
        if owner is not process:
            return Health(phase="stranger", message=f"{owner.identity.pid if owner else 'nobody'} has its port")
        if process.is_ready(now):
            return Health(phase="ready", identity=unit.identity)
        if now < process.ready_at:
            return Health(phase="loading", identity=unit.identity, message="it loads its model")
        return Health(phase="unresponsive", identity=unit.identity, message="it does not answer")

    def _slots(self, process: Process) -> tuple[Slot, ...]:
        now = self.host.world.now
        return tuple(
            Slot(
                id=number, busy=place.busy_until > now, tokens=place.held.tokens if place.held else None,
                task=place.task if place.held else None,
            )
            for number, place in enumerate(process.places)
        )  # fmt: skip

    def _answer(self, unit: Unit) -> Answer:
        process = self._serving(unit)
        if process is None:
            return Answer(message="it does not answer")
        free = next((place for place in process.places if place.held is None), None)
        if free is not None:
            free.held, free.task = CANARY, (free.task or 0) + 1
        return Answer(identity=unit.identity)
