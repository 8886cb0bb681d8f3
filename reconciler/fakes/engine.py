"""Engine and shelf ports over a world, as careful as a real driver with what they restore."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import JsonValue

from reconciler.errors import DriverError
from reconciler.fakes.host import FakeHost
from reconciler.fakes.processes import Conversation, FakeProcess, FakeSlot, Nature, SlotFile
from reconciler.model.facts import (
    Activity,
    Answer,
    Fact,
    Fingerprint,
    Health,
    Phase,
    RestoreAttempt,
    Saved,
    SavedSlot,
    Slot,
    Unit,
    UnitIdentity,
    Weights,
)
from reconciler.model.spec import ModelSpec
from reconciler.ports import Evidence
from reconciler.steps.save_slots import file_bytes

BYTES_PER_TOKEN = 1000
CANARY = Conversation("canary", 1)
YOUNG_SECONDS = 120.0
"""A unit that has no port by then never will."""


@dataclass(frozen=True)
class FakeEngine:
    """One model's engine, and what the model keeps."""

    host: FakeHost
    model: ModelSpec

    @property
    def bearer(self) -> str:
        """The key that it wants: none."""
        return ""

    @asynccontextmanager
    async def dial(self, port: int) -> AsyncIterator[str]:
        """Refuse: nothing in a world listens on a real port."""
        raise DriverError(f"port {port} of a world that is not there cannot be dialled")
        yield ""

    async def health(self, unit: Unit) -> Fact[Health]:
        """Look how far it is."""
        return await self.host.see("health", lambda: self._health(unit))

    async def activity(self, unit: Unit) -> Fact[Activity]:
        """Look at its slots; Unknown when it does not serve."""
        return await self.host.see("activity", lambda: self._activity(unit))

    def _activity(self, unit: Unit) -> Activity:
        process, now = self._reached(unit), self.host.world.now
        slots = tuple(_slot(number, place, now) for number, place in enumerate(process.places))
        return Activity(identity=unit.identity, slots=slots)

    async def answer(self, unit: Unit) -> Fact[Answer]:
        """Let it give one answer, which touches no conversation."""
        return await self.host.see("answer", lambda: self._answer(unit))

    async def save(self, unit: Unit, activity: Activity, keep: tuple[str, ...] = ()) -> Evidence:
        """Save and seal what the slots hold; raise DriverError when the engine does not serve."""
        self.host.world.intended("save_slots")
        process = self._reached(unit)
        saved: list[JsonValue] = []
        failed: list[JsonValue] = []
        kept = [*keep]
        for slot in activity.slots:
            if slot.holds_conversation:
                try:
                    saved.append(await self._save(slot.id, process, unit, kept))
                except DriverError as error:
                    failed.append(f"slot {slot.id} was not saved: {error.message}")
        return {"slots": saved, "failed": failed}

    async def _save(self, slot: int, process: FakeProcess, unit: Unit, kept: list[str]) -> Evidence:
        world, place = self.host.world, process.places[slot]
        if place.is_busy(world.now):
            raise DriverError("it is generating; a save would wait for it")
        held = place.conversation
        if held is None:
            raise DriverError("its conversation is gone")
        self._make_room(file_bytes(held.tokens, BYTES_PER_TOKEN), kept)
        file = SlotFile(self.model.name, held, process.fingerprint)
        await self.host.act("save", lambda: world.files.append(file))
        kept.append(self._seal(file, slot, place, unit))
        self.host.life.cross("save, sealed")
        return {"slot": slot, "tokens": held.tokens}

    def _make_room(self, needed: int, kept: list[str]) -> None:
        """Drop the oldest files until one of so many bytes fits.

        Raise DriverError, with nothing dropped, where none would.
        """
        world = self.host.world
        if world.shelf_bytes is None:
            return
        sidecars = [file.sidecar for file in self._files() if file.sidecar]
        droppable = [one for one in sidecars if one.file not in kept]
        free = world.shelf_bytes - _bytes(sidecars)
        if needed > free + _bytes(droppable):
            raise DriverError(f"{needed} bytes are needed")
        for one in droppable:
            if needed > free:
                world.files = [file for file in world.files if file.sidecar is not one]
                free += one.bytes

    def _files(self) -> list[SlotFile]:
        return [file for file in self.host.world.files if file.model == self.model.name]

    def _seal(self, file: SlotFile, slot: int, place: FakeSlot, unit: Unit) -> str:
        """Write the sidecar of a file, drop the file that it replaces, and return its name."""
        world = self.host.world
        if file not in world.files:
            raise DriverError("the engine wrote no file")
        sidecar = file.sidecar = self._sidecar(file, slot, place, unit)
        replaced = {id(one) for one in self._replaced(file, sidecar)}
        world.files = [one for one in world.files if id(one) not in replaced]
        return sidecar.file

    def _sidecar(self, file: SlotFile, slot: int, place: FakeSlot, unit: Unit) -> SavedSlot:
        world, identity = self.host.world, unit.identity
        tokens = file.holds.tokens if file.holds else 0
        started_with = unit.mark.fingerprint_apart(self.model.digest)
        stem = f"{self.model.name}-{slot}-{identity.pid}-{identity.start}"
        return SavedSlot(
            file=f"{stem}-{place.task}-{tokens}.kv",
            slot=slot,
            tokens=tokens,
            bytes=file_bytes(tokens, BYTES_PER_TOKEN),
            sha256="",
            fingerprint=started_with or world.fingerprint(self.model),
            saved_at=world.clock.wall(),
            identity=identity,
            slot_tokens=tokens,
            task=place.task,
        )

    def _replaced(self, file: SlotFile, sidecar: SavedSlot) -> list[SlotFile]:
        # Of each slot the newest file stays, and the newest of one other fingerprint (ADR 13).
        older = [one for one in self._files() if one is not file and _is_of(one, sidecar.slot)]
        others = [one for one in older if _is_of_another(one, sidecar.fingerprint)]
        newest = others[-1] if others else None
        return [one for one in older if one is not newest]

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
            if outcome == "failed":
                return {"slots": slots, "restart": True}
        return {"slots": slots}

    async def _restored(self, one: SavedSlot, process: FakeProcess) -> str:
        """Put one slot back, if nothing speaks against it, and tell what came of it."""
        file = self._file(one.file)
        if file is None or not self._fits(one, file, process):
            return "cold"
        place = process.places[one.slot]
        if _is_open(one, process.identity) and place.held == file.holds:
            return "proven"
        if place.conversation is not None:
            return "cold"
        self._note(one.file, process, "open")
        self.host.life.cross("restore, about to")
        try:
            await self.host.act("restore", lambda: self.host.world.put(file, process, place))
        except DriverError:
            return "failed"
        if process.nature.restores in {"badly", "deadly"}:
            return "failed"
        return "proven" if place.held == file.holds else "cold"

    def _fits(self, one: SavedSlot, file: SlotFile, process: FakeProcess) -> bool:
        is_current = one.fingerprint == self.host.world.fingerprint(self.model)
        return file.holds is not None and is_current and one.slot < len(process.places)

    def _note(self, name: str, of: Unit | FakeProcess, outcome: str) -> None:
        """Write an attempt into a sidecar, in place of this unit's open one."""
        file = self._file(name)
        if file is None or file.sidecar is None:
            raise DriverError(f"{name} is gone")
        before = file.sidecar.attempts
        if _is_open(file.sidecar, of.identity):
            before = before[:-1]
        tried = RestoreAttempt.model_validate({"identity": of.identity, "outcome": outcome})
        attempts = before if before[-1:] == (tried,) else (*before, tried)
        file.sidecar = file.sidecar.model_copy(update={"attempts": attempts})

    async def weights(self) -> Fact[Weights]:
        """Look at the weights file."""
        return await self.host.see("weights", self._weights)

    def _weights(self) -> Weights:
        plain = Weights(
            path=f"{self.model.name}.gguf",
            exists=True,
            size=1000,
            architecture="llama",
            kv_bytes_per_token=BYTES_PER_TOKEN,
        )
        return self.host.world.weights.get(self.model.name, plain)

    async def saved(self) -> Fact[Saved]:
        """Look at the sealed slots."""
        return await self.host.see("saved", self._saved)

    @property
    def _folder(self) -> str:
        return f"{self.model.directory}/slots"

    def _saved(self) -> Saved:
        slots, room = self._sealed(), self.host.world.shelf_bytes
        held = _bytes(slots)
        free = None if room is None else max(0, room - held)
        return Saved(slots=slots, free_bytes=free, held_bytes=held, folder=self._folder)

    async def fingerprint(self) -> Fact[Fingerprint]:
        """Look at what a saved slot depends on now."""
        return await self.host.see("fingerprint", self._fingerprint)

    def _fingerprint(self) -> Fingerprint:
        world = self.host.world
        places = world.natures.get(self.model.digest, Nature()).slots
        digest = world.fingerprint(self.model)
        return Fingerprint(digest=digest, slots=self._folder, places=places)

    def _sealed(self) -> tuple[SavedSlot, ...]:
        sidecars = [file.sidecar for file in self._files() if file.sidecar]
        return tuple(sorted(sidecars, key=lambda one: one.slot))

    def _file(self, name: str) -> SlotFile | None:
        files = self.host.world.files
        return next((file for file in files if _is_named(file, name)), None)

    def _port(self, unit: Unit) -> int:
        return unit.mark.port or self.model.port

    def _serving(self, unit: Unit) -> FakeProcess | None:
        process = self.host.world.on_port(self._port(unit))
        if process is None or process.identity != unit.identity:
            return None
        return process if process.is_ready(self.host.world.now) else None

    def _reached(self, unit: Unit) -> FakeProcess:
        process = self._serving(unit)
        if process is None:
            raise DriverError(f"{self.model.name} does not answer")
        return process

    def _health(self, unit: Unit) -> Health:
        phase, message = self._phase(unit)
        return Health(phase=phase, identity=unit.identity, message=message)

    def _phase(self, unit: Unit) -> tuple[Phase, str]:
        now, port = self.host.world.now, self._port(unit)
        owner = self.host.world.on_port(port)
        if owner is None:
            is_young = unit.uptime < YOUNG_SECONDS
            return "loading" if is_young else "unresponsive", f"nothing listens on {port}"
        if owner.identity != unit.identity:
            return "stranger", f"pid {owner.identity.pid} listens on {port}, not {self.model.name}"
        return _phase_of(owner, now)

    def _answer(self, unit: Unit) -> Answer:
        process = self._serving(unit)
        if process is None:
            return self._unanswered(unit)
        if (free := self._free(process)) is not None:
            free.take(CANARY)
            process.spoke = True
        if not process.spoke:
            return Answer(
                message="all slots are in use or hold conversations, and no token was generated yet"
            )
        return Answer(identity=unit.identity)

    def _free(self, process: FakeProcess) -> FakeSlot | None:
        """Find a slot whose use harms no conversation."""
        now = self.host.world.now
        # What was put into those may be there, or not yet: they do not say.
        avoided = {one.slot for one in self._sealed() if _is_open(one, process.identity)}
        free = [slot for number, slot in enumerate(process.places) if number not in avoided]
        return next((slot for slot in free if _is_free(slot, now)), None)

    def _unanswered(self, unit: Unit) -> Answer:
        """Explain why there is no answer; raise DriverError when a unit on its port is silent."""
        phase, message = self._phase(unit)
        if phase == "unresponsive" and self.host.world.on_port(self._port(unit)):
            raise DriverError(message)
        return Answer(message=message)


def _phase_of(owner: FakeProcess, now: float) -> tuple[Phase, str]:
    if owner.is_ready(now):
        return "ready", ""
    if now < owner.ready_at:
        return "loading", "it loads its model"
    return "unresponsive", "it does not answer"


def _slot(number: int, place: FakeSlot, now: float) -> Slot:
    task = None if place.held is None else place.task
    return Slot(id=number, busy=place.is_busy(now), tokens=place.tokens, task=task)


def _bytes(slots: Iterable[SavedSlot]) -> int:
    return sum(slot.bytes for slot in slots)


def _is_named(file: SlotFile, name: str) -> bool:
    return file.sidecar is not None and file.sidecar.file == name


def _is_of(file: SlotFile, slot: int) -> bool:
    return file.sidecar is None or file.sidecar.slot == slot


def _is_of_another(file: SlotFile, fingerprint: str) -> bool:
    return file.sidecar is not None and file.sidecar.fingerprint != fingerprint


def _is_free(place: FakeSlot, now: float) -> bool:
    return not place.is_busy(now) and place.conversation is None


def _is_open(one: SavedSlot, identity: UnitIdentity) -> bool:
    """Whether the last attempt was this very unit's, and is not over."""
    last = one.attempts[-1] if one.attempts else None
    return last is not None and last.identity == identity and last.outcome == "open"
