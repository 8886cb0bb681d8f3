"""Memory of the cards: what starts need of each card, and what stops give back of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from reconciler.model.change import StartChange, StopChange
from reconciler.model.facts import Unit
from reconciler.model.gpu import Card, Gpu
from reconciler.model.observed import GPU, ORPHANS, UNIT, Observed
from reconciler.model.sight import ModelSight
from reconciler.model.spec import Slice
from reconciler.steps.await_vram import AwaitVram, Share


class MemoryParts(NamedTuple):
    """Bytes: of all cards together, and of single cards by their number."""

    whole: int
    cards: Counter[int]


def awaited(
    starts: Iterable[StartChange], stops: Iterable[StopChange], wanted: Slice, observed: Observed
) -> AwaitVram:
    """The wait for all that the starts need, given what the stops give back."""
    needs = _sum(_estimated(change.model, wanted, observed) for change in starts)
    frees = _sum(_given_back(change, wanted, observed) for change in stops)
    shares = tuple(
        Share(card=card, need_bytes=size, frees_bytes=frees.cards[card])
        for card, size in sorted(needs.cards.items())
    )
    return AwaitVram(
        host=wanted.host.name, need_bytes=needs.whole, frees_bytes=frees.whole, shares=shares
    )


def _sum(parts: Iterable[MemoryParts]) -> MemoryParts:
    whole, cards = 0, Counter[int]()
    for one in parts:
        whole += one.whole
        for card, size in one.cards.items():
            cards[card] += size
    return MemoryParts(whole, cards)


def _estimated(model_name: str, wanted: Slice, observed: Observed) -> MemoryParts:
    """What a model needs: as the inventory says, else as its weights say."""
    model = wanted.model(model_name)
    weights = ModelSight(observed, wanted.host.name, model_name).weights
    size = weights.memory_bytes if weights else 0
    if model is None:
        return MemoryParts(size, Counter())
    size = size if model.vram_bytes is None else model.vram_bytes
    return MemoryParts(size, _even_parts(size, model.gpus))


def _even_parts(size: int, cards: Sequence[int]) -> Counter[int]:
    return Counter({card: -(-size // len(cards)) for card in cards})


def _given_back(change: StopChange, wanted: Slice, observed: Observed) -> MemoryParts:
    """What a unit holds on the cards, else what its model is estimated to."""
    gpu = observed.value(GPU(change.host)) or Gpu()
    pids = set(_pids(change, observed))
    held = Counter({card.index: _held(card, pids) for card in gpu.cards})
    if held.total() and not any(card.unified for card in gpu.cards):
        return MemoryParts(held.total(), held)
    whole, cards = _estimated(change.model, wanted, observed)
    return MemoryParts(whole, cards or _anywhere(whole, gpu))


def _anywhere(size: int, gpu: Gpu) -> Counter[int]:
    # Of a model that names no card, it may come back on any.
    return Counter({card.index: size for card in gpu.cards})


def _held(card: Card, pids: Collection[int]) -> int:
    return sum(holder.bytes or 0 for holder in card.holders if holder.pid in pids)


def _pids(change: StopChange, observed: Observed) -> Iterator[int]:
    """The pids of a unit and of all that it started."""
    yield change.identity.pid
    orphans = observed.value(ORPHANS(change.host)) or ()
    for unit in (observed.value(UNIT(change.host, change.model)), *orphans):
        if isinstance(unit, Unit) and unit.identity == change.identity:
            yield from unit.members
