"""History: what the rows of a journal say about who served when. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.load.ledger import Down, Noted

RAN = {"done", "skipped"}


class Span(NamedTuple):
    """A time, both ends included."""

    since: float
    until: float

    def meets(self, other: Span) -> bool:
        return self.since <= other.until and other.since <= self.until


class Death(NamedTuple):
    """The end of the process that wrote the rows before it."""

    at: float


def events(rows: Sequence[Noted], downs: Sequence[Down]) -> list[Noted | Death]:
    """Put rows and deaths in their order."""
    return sorted([*rows, *(Death(down.dead) for down in downs)], key=lambda one: one.at)


def open_spans(rows: Sequence[Noted], downs: Sequence[Down]) -> Mapping[str, list[Span]]:
    """When a gateway may have sent requests to each model."""
    spans: dict[str, list[Span]] = defaultdict(list)
    since: dict[str, float] = {}
    for event in events(rows, downs):
        for model in _closed_by(event, set(since)):
            spans[model].append(Span(since.pop(model), event.at))
        match event:
            case Noted(kind="step-intent", step="admit", model=model):
                since.setdefault(model, event.at)
    for model, at in since.items():
        spans[model].append(Span(at, math.inf))
    return spans


def _closed_by(event: Noted | Death, are_open: set[str]) -> set[str]:
    match event:
        case Death():
            return are_open
        case Noted(kind="step-done", step="hold_requests" | "stop", model=model):
            return are_open & {model}
    return set()


def overlaps(rows: Sequence[Noted], downs: Sequence[Down]) -> Iterator[str]:
    """Each start of a model while another had been started, and not stopped."""
    live: set[str] = set()
    in_flight = ""
    for event in events(rows, downs):
        match event:
            case Death():
                # Nobody wrote how it ended.
                live.discard(in_flight)
            case Noted(kind="step-intent", step="start", model=model):
                yield from (
                    f"row {event.seq} starts {model} beside {one}" for one in live - {model}
                )
                live.add(model)
            case Noted(kind="step-done", step="stop", model=model, said=said) if said in RAN:
                live.discard(model)
            case Noted(kind="step-done", step="start", model=model, said=said) if said not in RAN:
                live.discard(model)
        in_flight = _acted_on(event)


def _acted_on(event: Noted | Death) -> str:
    """The model that is about to be started or stopped."""
    match event:
        case Noted(kind="step-intent", step="start" | "stop", model=model):
            return model
    return ""


def switches(rows: Sequence[Noted]) -> int:
    """How often a run ended well with another model serving than before it."""
    count, before, serving = 0, "", ""
    for row in rows:
        match row:
            case Noted(kind="step-done", step="admit", model=model, said=said) if said in RAN:
                serving = model
            case Noted(kind="run-closed", said="promoted"):
                count += before not in {"", serving}
                before = serving
    return count
