"""A lobby whose demand is set by hand, and which keeps what it was told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import anyio

from reconciler.model.lending import Demand, Outlook


@dataclass
class HandLobby:
    """The requests of one host, as a test sets them."""

    wanted: dict[str, Demand] = field(default_factory=dict)
    paused = expected = resting = displaced = frozenset[str]()
    refused: Mapping[str, str] = field(default_factory=dict)
    explained: Mapping[str, str] = field(default_factory=dict)
    trouble: str | None = None
    rung: anyio.Event = field(default_factory=anyio.Event)

    def demands(self) -> Mapping[str, Demand]:
        return self.wanted

    def pause(self, model_names: Collection[str]) -> None:
        self.paused = frozenset(model_names)

    def refuse(self, reasons: Mapping[str, str]) -> None:
        self.refused = reasons

    def foresee(self, _: Mapping[str, Outlook | float]) -> None: ...

    estimate = foresee

    def expect(self, model_names: Collection[str]) -> None:
        self.expected = frozenset(model_names)

    def rest(self, model_names: Collection[str]) -> None:
        self.resting = frozenset(model_names)

    def displace(self, model_names: Collection[str]) -> None:
        self.displaced = frozenset(model_names)

    def explain(self, reasons: Mapping[str, str]) -> None:
        self.explained = reasons

    async def changed(self) -> None:
        await self.rung.wait()
        self.rung = anyio.Event()

    def report(self, trouble: str) -> None:
        self.trouble = trouble

    def set(self, **wanted: Demand) -> None:
        self.wanted |= wanted
        self.rung.set()
