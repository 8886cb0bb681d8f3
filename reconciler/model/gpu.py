"""GPU: the cards of a host, their memory, and who holds it."""

from __future__ import annotations

from reconciler.model.names import Value

GIB = 1024**3


class Holder(Value):
    """A process that holds memory of a card, and how many bytes, None when nobody can say.

    `draws` says that it uses the card for pictures alone, as the screen of an idle machine does.
    """

    pid: int
    name: str = ""
    bytes: int | None = None
    draws: bool = False

    def __str__(self) -> str:
        """Return it as a person would name it."""
        size = "" if self.bytes is None else f", {self.bytes / GIB:.1f} GiB"
        return f"{self.name or 'a process'} (pid {self.pid}{size})"


class Card(Value):
    """One accelerator by its number on the host: its memory in bytes, and who holds it.

    `unified` means that its memory is the host's own, of which every program takes.
    """

    index: int = 0
    name: str = ""
    uuid: str = ""
    total: int
    free: int
    unified: bool = False
    holders: tuple[Holder, ...] = ()

    @property
    def unclaimed(self) -> int:
        """The bytes that nobody holds and that are not free yet: they come back by themselves."""
        held = [holder.bytes for holder in self.holders]
        return (
            0
            if self.unified or None in held
            else max(0, self.total - self.free - sum(size or 0 for size in held))
        )

    @property
    def message(self) -> str:
        """How much is free and who holds the rest."""
        others = "the programs of this host" if self.unified else "nobody that can be named"
        return (
            f"{self.free / GIB:.1f} GiB are free; memory is held by"
            f" {', '.join(map(str, self.holders)) or others}"
        )


class Gpu(Value):
    """List the accelerators of a host; none when it has none to look after."""

    cards: tuple[Card, ...] = ()

    @property
    def total(self) -> int:
        """The bytes of all cards."""
        return sum(card.total for card in self.cards)

    @property
    def free(self) -> int:
        """The free bytes of all cards."""
        return sum(card.free for card in self.cards)

    @property
    def jobs(self) -> tuple[Holder, ...]:
        """Every process that computes on a card, each once; what draws a screen alone is none."""
        return tuple(
            {
                holder.pid: holder
                for card in self.cards
                for holder in card.holders
                if not holder.draws
            }.values()
        )

    @property
    def message(self) -> str:
        """Of every card how much is free and who holds the rest, empty when there is nothing to look after."""
        named = len(self.cards) > 1
        return "; ".join(
            f"card {card.index}: {card.message}" if named else card.message for card in self.cards
        )

    def only(self, index: int | None) -> Gpu:
        """Return the card of a number alone, or all of them for None."""
        return (
            self
            if index is None
            else Gpu(cards=tuple(card for card in self.cards if card.index == index))
        )
