"""GPU: the cards of a host, their memory, and who holds it."""

from reconciler.model.names import Value

GIB = 1024**3


class Holder(Value):
    """A process that holds memory of a card, and how many bytes, None when that is not known.

    `draws` means that it uses the card for pictures alone, as the screen of an idle machine does.
    """

    pid: int
    name: str = ""
    bytes: int | None = None
    draws: bool = False

    def __str__(self) -> str:
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
        """The bytes that no process holds and that are not free yet: they come back unasked."""
        sizes = [holder.bytes for holder in self.holders if holder.bytes is not None]
        # Where one holder's share is not known, the rest may be all its own.
        if self.unified or len(sizes) < len(self.holders):
            return 0
        return max(0, self.total - self.free - sum(sizes))

    @property
    def message(self) -> str:
        """How much is free and who holds the rest."""
        others = "the programs of this host" if self.unified else "no process that can be named"
        holders = ", ".join(map(str, self.holders)) or others
        return f"{self.free / GIB:.1f} GiB are free; memory is held by {holders}"


class Gpu(Value):
    """The accelerators of a host; none when it has none to look after."""

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
        """Every process that computes on a card, each once; what only draws a screen is none."""
        holders = [holder for card in self.cards for holder in card.holders]
        by_pid = {holder.pid: holder for holder in holders if not holder.draws}
        return tuple(by_pid.values())

    @property
    def message(self) -> str:
        """How much of every card is free and who holds the rest, empty without a card."""
        if len(self.cards) == 1:
            return self.cards[0].message
        return "; ".join(f"card {card.index}: {card.message}" for card in self.cards)

    def only(self, index: int | None) -> "Gpu":
        """Keep the card of this number alone, or all of them for None."""
        if index is None:
            return self
        return Gpu(cards=tuple(card for card in self.cards if card.index == index))
