"""The step `await_vram`."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from reconciler.model.gpu import GIB, Card, Gpu
from reconciler.model.names import Value
from reconciler.model.observed import GPU, AnyFactKey, Observed
from reconciler.model.onhost import InDoubt
from reconciler.steps.step import Step

MARGIN_BYTES = 512 * 1024**2


class Share(Value):
    """What must be free and what stops give back, in bytes: on one card, or for None on all."""

    card: int | None = None
    need_bytes: int
    frees_bytes: int = 0

    @property
    def goal(self) -> int:
        """The bytes that must be free, with a margin."""
        return self.need_bytes + MARGIN_BYTES

    def is_met(self, gpu: Gpu) -> bool:
        """Whether enough is free."""
        return gpu.only(self.card).free >= self.goal

    def blocker(self, gpu: Gpu) -> str:
        """Why the memory will not be there, empty when it is or comes."""
        mine = gpu.only(self.card)
        if not mine.cards:
            return self._misnamed(gpu)
        if self.goal > mine.total:
            return f"{self._needed(' and a margin of 0.5 GiB')}, {_capacity(mine)}"
        # After an engine died, memory that no process holds comes back by itself. Nothing is
        # stopped in the hope of that, so it counts only where no stop gives any back.
        comes = self.frees_bytes or sum(card.unclaimed for card in mine.cards)
        return "" if mine.free + comes >= self.goal else f"{self._needed()}, {mine.message}"

    def brought_about(self, gpu: Gpu, seen: Gpu) -> Gpu:
        """The cards with this share free; `frees_bytes` come back of what was `seen` before."""
        before = seen.only(self.card).free + self.frees_bytes
        missing = max(before, self.goal) - gpu.only(self.card).free
        cards = []
        for card in gpu.cards:
            gain = self._gain(card, missing)
            missing -= gain
            cards.append(card.model_copy(update={"free": card.free + gain}))
        return Gpu(cards=tuple(cards))

    def _gain(self, card: Card, missing: int) -> int:
        """How much of the missing memory a card can contribute."""
        if self.card not in {None, card.index}:
            return 0
        return max(0, min(missing, card.total - card.free))

    def _misnamed(self, gpu: Gpu) -> str:
        there = ", ".join(str(card.index) for card in gpu.cards)
        return (
            f"card {self.card} is not there, the host has {there}; correct `gpus:` in the inventory"
        )

    def _needed(self, margin: str = "") -> str:
        where = "" if self.card is None else f" on card {self.card}"
        return f"{self.need_bytes / GIB:.1f} GiB{margin} are needed{where}"


def _capacity(gpu: Gpu) -> str:
    has = "the card has" if len(gpu.cards) == 1 else f"the {len(gpu.cards)} cards have"
    return f"{has} {gpu.total / GIB:.1f} GiB"


class AwaitVram(Step):
    """The wait until enough memory is free.

    `need_bytes` and a margin are needed on all cards together, each of `shares` on its own card.
    """

    ensures: ClassVar[str] = "enough accelerator memory is free, on every card that is meant"
    acts: ClassVar[bool] = False
    weighed_after: ClassVar[str] = "after_settle"
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
        """Two where memory comes back, otherwise one."""
        # What a stopped process held may show as free, and then as taken again for a moment.
        return 2 if any(share.frees_bytes for share in self._all()) else 1

    def reads(self) -> tuple[AnyFactKey, ...]:
        """The accelerators."""
        return (GPU(self.host),)

    def may_proceed_unknown(self, world: Observed) -> bool:
        """Whether the memory cannot be read any more: a start finds out whether it is free."""
        return any(world.unknown(key) for key in self.reads())

    def needs(self) -> tuple[AnyFactKey, ...]:
        """The accelerators: what cannot be seen is not free."""
        return self.reads()

    def blockers(self, world: Observed) -> tuple[str, ...]:
        """Where the memory will not be there, and who holds it."""
        gpu = self.cards(world)
        if not gpu.cards:
            return ()
        return tuple(filter(None, (share.blocker(gpu) for share in self._all())))

    def outcome(self, world: Observed) -> Observed:
        """The world with enough memory free."""
        seen = gpu = self.cards(world)
        if not seen.cards:
            return world
        for share in self._all():
            gpu = share.brought_about(gpu, seen)
        return world.predicting(self.kind, {GPU(self.host): gpu})

    def holds(self, world: Observed) -> bool:
        """Whether enough is free everywhere, or there is no memory to look after."""
        gpu = world.value(GPU(self.host))
        if gpu is None:
            return False
        return not gpu.cards or all(share.is_met(gpu) for share in self._all())

    def _all(self) -> Iterator[Share]:
        """The shares of single cards, then that of all cards where it asks for more than those."""
        yield from self.shares
        if not self.shares or self.need_bytes > sum(share.need_bytes for share in self.shares):
            yield Share(need_bytes=self.need_bytes, frees_bytes=self.frees_bytes)
