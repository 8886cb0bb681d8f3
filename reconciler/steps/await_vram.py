"""The step `await_vram`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from reconciler.model.gpu import GIB, Gpu
from reconciler.model.names import Value
from reconciler.model.observed import GPU, AnyFactKey, Observed
from reconciler.model.onhost import InDoubt
from reconciler.steps.step import Step

MARGIN_BYTES = 512 * 1024**2


class Share(Value):
    """What must be free, on one card or for None on all together, and what comes back of what is stopped, in bytes."""

    card: int | None = None
    need_bytes: int
    frees_bytes: int = 0

    @property
    def goal(self) -> int:
        """The bytes that must be free, with a margin."""
        return self.need_bytes + MARGIN_BYTES

    def is_met(self, gpu: Gpu) -> bool:
        """Return whether enough is free."""
        return gpu.only(self.card).free >= self.goal

    def blocker(self, gpu: Gpu) -> str:
        """Return why the memory will not be there, empty when it is or comes.

        What nobody holds any more comes back by itself after an engine died; nothing is stopped in
        the hope of that.
        """
        mine, where = gpu.only(self.card), "" if self.card is None else f" on card {self.card}"
        needed = f"{self.need_bytes / GIB:.1f} GiB{{}} are needed{where}, "
        if not mine.cards:
            there = ", ".join(str(card.index) for card in gpu.cards)
            return (
                f"card {self.card} is not there, the host has {there}; correct `gpus:` in the"
                " inventory"
            )
        if self.goal > mine.total:
            has = "the card has" if len(mine.cards) == 1 else f"the {len(mine.cards)} cards have"
            return needed.format(" and a margin of 0.5 GiB") + f"{has} {mine.total / GIB:.1f} GiB"
        comes = self.frees_bytes or sum(card.unclaimed for card in mine.cards)
        return "" if mine.free + comes >= self.goal else needed.format("") + mine.message

    def brought_about(self, gpu: Gpu, seen: Gpu) -> Gpu:
        """Return the cards with what the share needs free, and with what comes back of what was `seen` before."""
        missing = (
            max(seen.only(self.card).free + self.frees_bytes, self.goal) - gpu.only(self.card).free
        )
        cards = []
        for card in gpu.cards:
            gain = (
                max(0, min(missing, card.total - card.free))
                if self.card in {None, card.index}
                else 0
            )
            missing -= gain
            cards.append(card.model_copy(update={"free": card.free + gain}))
        return Gpu(cards=tuple(cards))


class AwaitVram(Step):
    """Wait until `need_bytes` and a margin are free on all cards together, and each of `shares` on its own card."""

    ensures: ClassVar[str] = "enough accelerator memory is free, on every card that is meant"
    acts: ClassVar[bool] = False
    in_doubt: ClassVar[InDoubt] = "observable"
    poll: ClassVar[tuple[float, float]] = (0.05, 0.5)

    kind: Literal["await_vram"] = "await_vram"
    deadline: float = 60.0
    need_bytes: int
    frees_bytes: int = 0
    shares: tuple[Share, ...] = ()

    @property
    def target(self) -> str:
        """The amount."""
        return f"{self.need_bytes / GIB:.1f} GiB"

    @property
    def sightings(self) -> int:
        """Two where memory comes back: what a stopped process held may show as free, and then as taken, for a moment."""
        return 2 if any(share.frees_bytes for share in self._all()) else 1

    def reads(self) -> tuple[AnyFactKey, ...]:
        """Return the accelerators."""
        return (GPU(self.host),)

    def may_proceed_unknown(self, world: Observed) -> bool:
        """Return whether the memory cannot be read any more: a start finds out whether it is free."""
        return any(world.unknown(key) for key in self.reads())

    def needs(self) -> tuple[AnyFactKey, ...]:
        """Return the accelerators: what cannot be seen is not free."""
        return self.reads()

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Return where the memory will not be there, and who holds it."""
        gpu = world.value(GPU(self.host))
        return (
            tuple(filter(None, (share.blocker(gpu) for share in self._all())))
            if gpu and gpu.cards
            else ()
        )

    def outcome(self, world: Observed) -> Observed:
        """Return the world with enough memory free."""
        seen = world.value(GPU(self.host))
        if seen is None or not seen.cards:
            return world
        gpu = seen
        for share in self._all():
            gpu = share.brought_about(gpu, seen)
        return world.predicting(self.kind, {GPU(self.host): gpu})

    def holds(self, world: Observed) -> bool:
        """Return whether enough is free everywhere, or there is no memory to look after."""
        gpu = world.value(GPU(self.host))
        return gpu is not None and (
            not gpu.cards or all(share.is_met(gpu) for share in self._all())
        )

    def _all(self) -> Iterator[Share]:
        """Yield the shares of single cards, then that of all cards, where the others do not say it already."""
        yield from self.shares
        if not self.shares or self.need_bytes > sum(share.need_bytes for share in self.shares):
            yield Share(need_bytes=self.need_bytes, frees_bytes=self.frees_bytes)
