"""Await VRAM: enough accelerator memory is free."""

from __future__ import annotations

from typing import ClassVar, Literal

from reconciler.model.facts import FactKey, Gpu, Memory, Observed
from reconciler.model.onhost import InDoubt
from reconciler.steps.step import Step

MARGIN_BYTES = 512 * 1024**2
GIB = 1024**3


class AwaitVram(Step):
    """Wait until `need_bytes` and a margin are free."""

    in_doubt: ClassVar[InDoubt] = "observable"
    poll: ClassVar[tuple[float, float]] = (0.1, 0.5)

    kind: Literal["await_vram"] = "await_vram"
    deadline: float = 60.0
    need_bytes: int
    frees_bytes: int = 0

    @property
    def target(self) -> str:
        """Return the amount."""
        return f"{self.need_bytes / GIB:.1f} GiB"

    def reads(self) -> tuple[FactKey, ...]:
        """Return the accelerators."""
        return (FactKey("gpu", self.host),)

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Return that the memory is not there even when everything of ours is gone."""
        unknown = world.unknown(FactKey("gpu", self.host))
        if unknown:
            return (f"{FactKey('gpu', self.host)}: {unknown.reason}",)
        memory = self._memory(world)
        if memory is None or self._is_enough(memory):
            return ()
        if memory.total < self.need_bytes + MARGIN_BYTES:
            return (f"{self.target} and a margin of 0.5 GiB are needed, the card has {memory.total / GIB:.1f} GiB",)
        if memory.free + self.frees_bytes < self.need_bytes + MARGIN_BYTES:
            holders = ", ".join(memory.holders) or "nobody that can be named"
            return (f"{self.target} are needed, {memory.free / GIB:.1f} GiB are free; memory is held by {holders}",)
        return ()

    def predict(self, world: Observed) -> Observed:
        """Return the world with the memory of stopped units free."""
        memory = self._memory(world)
        if memory is None or self._is_enough(memory):
            return world
        free = min(memory.total, memory.free + self.frees_bytes)
        return world.predicting(self.kind, {FactKey("gpu", self.host): Gpu(memory=memory.model_copy(update={"free": free}))})

    def holds(self, world: Observed) -> bool:
        """Return whether enough is free, or there is no memory to look after."""
        if world.unknown(FactKey("gpu", self.host)):
            return False
        memory = self._memory(world)
        return memory is None or self._is_enough(memory)

    def _memory(self, world: Observed) -> Memory | None:
        gpu = world.value(FactKey("gpu", self.host), Gpu)
        return gpu.memory if gpu else None

    def _is_enough(self, memory: Memory) -> bool:
        return memory.free >= self.need_bytes + MARGIN_BYTES
