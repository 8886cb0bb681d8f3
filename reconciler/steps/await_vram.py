"""Await VRAM: enough accelerator memory is free."""

from __future__ import annotations

from typing import ClassVar, Literal

from reconciler.model.facts import GIB, FactKey, Gpu, Observed
from reconciler.model.onhost import InDoubt
from reconciler.steps.step import Step

MARGIN_BYTES = 512 * 1024**2


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
        """Return that the memory will not be there.

        What nobody holds any more comes back by itself after an engine died; nothing is stopped in the hope of that.
        """
        unknown = world.unknown(FactKey("gpu", self.host))
        if unknown:
            return (f"{FactKey('gpu', self.host)}: {unknown.reason}",)
        gpu = world.value(FactKey("gpu", self.host), Gpu) or Gpu()
        memory = gpu.memory
        if memory is None or self._is_enough(memory.free):
            return ()
        if not self._is_enough(memory.total):
            return (f"{self.target} and a margin of 0.5 GiB are needed, the card has {memory.total / GIB:.1f} GiB",)
        if self._is_enough(memory.free + self.frees_bytes) or not (memory.holders or self.frees_bytes):
            return ()
        return (f"{self.target} are needed, {gpu.message}",)

    def outcome(self, world: Observed) -> Observed:
        """Return the world with enough memory free."""
        gpu = world.value(FactKey("gpu", self.host), Gpu)
        if gpu is None or gpu.memory is None:
            return world
        free = min(gpu.memory.total, max(gpu.memory.free + self.frees_bytes, self.need_bytes + MARGIN_BYTES))
        memory = gpu.memory.model_copy(update={"free": free})
        return world.predicting(self.kind, {FactKey("gpu", self.host): Gpu(memory=memory)})

    def holds(self, world: Observed) -> bool:
        """Return whether enough is free, or there is no memory to look after."""
        gpu = world.value(FactKey("gpu", self.host), Gpu)
        return gpu is not None and (gpu.memory is None or self._is_enough(gpu.memory.free))

    def _is_enough(self, free: int) -> bool:
        return free >= self.need_bytes + MARGIN_BYTES
