"""The engine port and the shelf port over a world, as careful as a real driver: checked, noted before and after, proven."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from reconciler.errors import DriverError
from reconciler.fakes.host import FakeHost
from reconciler.fakes.processes import Conversation, FakeProcess, FakeSlot, Nature, SlotFile
from reconciler.model.facts import (
    TRIVIAL_TOKENS,
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
    """Use one model's engine, and look at what the model keeps."""

    host: FakeHost
    model: ModelSpec

    async def health(self, unit: Unit) -> Fact[Health]:
        """Return how far it is."""
        return await self.host.see("health", lambda: self._health(unit))

    async def activity(self, unit: Unit) -> Fact[Activity]:
        """Return its slots, Unknown when it does not serve."""
        return await self.host.see(
            "activity",
            lambda: Activity(identity=unit.identity, slots=self._slots(self._reached(unit))),
        )

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
        if place.busy_until > world.now:
            raise DriverError("it is generating; a save would wait for it")
        if place.held is None or place.held.tokens <= TRIVIAL_TOKENS:
            raise DriverError("its conversation is gone")
        self._make_room(file_bytes(place.held.tokens, BYTES_PER_TOKEN), kept)
        file = SlotFile(self.model.name, place.held, process.fingerprint)
        await self.host.act("save", lambda: world.files.append(file))
        kept.append(self._seal(file, slot, place, unit))
        self.host.life.cross("save, sealed")
        return {"slot": slot, "tokens": place.held.tokens}

    def _make_room(self, needed: int, kept: list[str]) -> None:
        """Drop the oldest files until one of so many bytes fits.

        Raise DriverError, with nothing dropped, where none would.
        """
        world = self.host.world
        sidecars = [
            file.sidecar for file in world.files if file.model == self.model.name and file.sidecar
        ]
        free = (world.shelf_bytes or 0) - sum(one.bytes for one in sidecars)
        droppable = [one for one in sidecars if one.file not in kept]
        if world.shelf_bytes is None:
            return
        if needed > free + sum(one.bytes for one in droppable):
            raise DriverError(f"{needed} bytes are needed")
        for one in droppable:
            if needed > free:
                world.files = [file for file in world.files if file.sidecar is not one]
                free += one.bytes

    def _seal(self, file: SlotFile, slot: int, place: FakeSlot, unit: Unit) -> str:
        """Give a file that is there its sidecar, drop the one that it replaces, and return its name."""
        world = self.host.world
        if file not in world.files:
            raise DriverError("the engine wrote no file")
        tokens = file.holds.tokens if file.holds else 0
        fingerprint = unit.mark.fingerprint_apart(self.model.digest) or world.fingerprint(
            self.model
        )
        file.sidecar = SavedSlot(
            file=f"{self.model.name}-{slot}-{unit.identity.pid}-{unit.identity.start}-{place.task}-{tokens}.kv",
            slot=slot, tokens=tokens, bytes=file_bytes(tokens, BYTES_PER_TOKEN), sha256="", fingerprint=fingerprint,
            saved_at=world.clock.wall(), identity=unit.identity, slot_tokens=tokens, task=place.task,
        )  # fmt: skip
        of_slot = [one for one in world.files if one is not file and self._is_of(one, slot)]
        before = [one for one in of_slot if one.sidecar and one.sidecar.fingerprint != fingerprint][
            -1:
        ]
        replaced = {id(one) for one in of_slot} - {id(one) for one in before}
        world.files = [one for one in world.files if id(one) not in replaced]
        return file.sidecar.file

    def _is_of(self, file: SlotFile, slot: int) -> bool:
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
            if outcome == "failed":
                return {"slots": slots, "restart": True}
        return {"slots": slots}

    async def _restored(self, one: SavedSlot, process: FakeProcess) -> str:
        """Return what came of one slot: its file is put in only when nothing speaks against it, and noted before."""
        file = self._file(one.file)
        if (
            file is None
            or file.holds is None
            or one.fingerprint != self.host.world.fingerprint(self.model)
        ):
            return "cold"
        if one.slot >= len(process.places):
            return "cold"
        place = process.places[one.slot]
        if _is_open(one, process.identity) and place.held == file.holds:
            return "proven"
        if place.held is not None and place.held.tokens > TRIVIAL_TOKENS:
            return "cold"
        self._note(one.file, one, "open", process)
        self.host.life.cross("restore, about to")
        try:
            await self.host.act("restore", lambda: self.host.world.put(file, process, place))
        except DriverError:
            return "failed"
        return (
            "failed"
            if process.nature.restores in {"badly", "deadly"}
            else "proven"
            if place.held == file.holds
            else "cold"
        )

    def _note(
        self, name: str, unit: Unit | SavedSlot, outcome: str, process: FakeProcess | None = None
    ) -> None:
        """Write an attempt into a sidecar, in place of this unit's open one."""
        identity = process.identity if process else unit.identity
        file = self._file(name)
        if file is None or file.sidecar is None:
            raise DriverError(f"{name} is gone")
        before = (
            file.sidecar.attempts[:-1]
            if _is_open(file.sidecar, identity)
            else file.sidecar.attempts
        )
        tried = RestoreAttempt.model_validate({"identity": identity, "outcome": outcome})
        attempts = before if before and before[-1] == tried else (*before, tried)
        file.sidecar = file.sidecar.model_copy(update={"attempts": attempts})

    async def weights(self) -> Fact[Weights]:
        """Return the weights file."""
        plain = Weights(
            path=f"{self.model.name}.gguf",
            exists=True,
            size=1000,
            architecture="llama",
            kv_bytes_per_token=BYTES_PER_TOKEN,
        )
        return await self.host.see(
            "weights", lambda: self.host.world.weights.get(self.model.name, plain)
        )

    async def saved(self) -> Fact[Saved]:
        """Return the sealed slots."""
        return await self.host.see("saved", self._saved)

    def _saved(self) -> Saved:
        slots, room = self._sealed(), self.host.world.shelf_bytes
        held = sum(slot.bytes for slot in slots)
        free = None if room is None else max(0, room - held)
        return Saved(
            slots=slots, free_bytes=free, held_bytes=held, folder=f"{self.model.directory}/slots"
        )

    async def fingerprint(self) -> Fact[Fingerprint]:
        """Return what a saved slot depends on now."""
        world, folder = self.host.world, f"{self.model.directory}/slots"
        places = world.natures.get(self.model.digest, Nature()).slots
        return await self.host.see(
            "fingerprint",
            lambda: Fingerprint(digest=world.fingerprint(self.model), slots=folder, places=places),
        )

    def _sealed(self) -> tuple[SavedSlot, ...]:
        mine = (file.sidecar for file in self.host.world.files if file.model == self.model.name)
        return tuple(sorted((one for one in mine if one), key=lambda one: one.slot))

    def _file(self, name: str) -> SlotFile | None:
        return next(
            (file for file in self.host.world.files if file.sidecar and file.sidecar.file == name),
            None,
        )

    def _port(self, unit: Unit) -> int:
        return unit.mark.port or self.model.port

    def _serving(self, unit: Unit) -> FakeProcess | None:
        process = self.host.world.on_port(self._port(unit))
        ready = (
            process and process.identity == unit.identity and process.is_ready(self.host.world.now)
        )
        return process if ready else None

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
            return (
                "loading" if unit.uptime < YOUNG_SECONDS else "unresponsive"
            ), f"nothing listens on {port}"
        if owner.identity != unit.identity:
            return "stranger", f"pid {owner.identity.pid} listens on {port}, not {self.model.name}"
        if owner.is_ready(now):
            return "ready", ""
        return (
            ("loading", "it loads its model")
            if now < owner.ready_at
            else ("unresponsive", "it does not answer")
        )

    def _slots(self, process: FakeProcess) -> tuple[Slot, ...]:
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
            return self._unanswered(unit)
        now = self.host.world.now
        avoided = {one.slot for one in self._sealed() if _is_open(one, unit.identity)}
        free = [
            place
            for number, place in enumerate(process.places)
            if number not in avoided and _is_free(place, now)
        ]
        if free:
            free[0].held, free[0].task, process.spoke = CANARY, (free[0].task or 0) + 1, True
        if not process.spoke:
            return Answer(
                message="all slots are in use or hold conversations, and no token was generated yet"
            )
        return Answer(identity=unit.identity)

    def _unanswered(self, unit: Unit) -> Answer:
        """Say why there is no answer; raise DriverError when a unit that has its port is silent."""
        phase, message = self._phase(unit)
        if phase == "unresponsive" and self.host.world.on_port(self._port(unit)):
            raise DriverError(message)
        return Answer(message=message)


def _is_free(place: FakeSlot, now: float) -> bool:
    return place.busy_until <= now and (place.held is None or place.held.tokens <= TRIVIAL_TOKENS)


def _is_open(one: SavedSlot, identity: UnitIdentity) -> bool:
    """Return whether the last attempt was this very unit's, and is not over."""
    last = one.attempts[-1] if one.attempts else None
    return last is not None and last.identity == identity and last.outcome == "open"
