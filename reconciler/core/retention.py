"""Retention: which rows a journal may forget, and what it must restate before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from reconciler.core.recovery import Hints, fold
from reconciler.model.records import Carried, Mode, Row

DAY_SECONDS = 86_400.0


LOOKS = 4
"""How often all rows are looked at while the slack comes together: each look reads them."""


@dataclass(frozen=True)
class Retention:
    """The bounds of what is kept: so many runs (2 or more), rows, and seconds of age.

    Of the runs at most `passing` (2 or more) brought about nothing new. Nothing is forgotten before
    a share of `slack` more has come together.
    """

    runs: int = 500
    passing: int = 400
    rows: int = 20_000
    seconds: float = 90 * DAY_SECONDS
    slack: float = 0.1

    @property
    def stride(self) -> int:
        """How many runs may open from one look at all rows to the next: a part of the slack."""
        return max(1, int(min(self.runs, self.passing) * self.slack / LOOKS))


class Outline(NamedTuple):
    """What of a row decides: its number, its wall clock seconds, and which run it opens, if any."""

    seq: int
    at: float
    host: str
    mode: Mode | None = None
    generation: int = 0


def first_kept(outlines: Sequence[Outline], now: float, retention: Retention) -> int:
    """The number of the first row to keep when one more run is about to open, 1 without rows."""
    if not outlines:
        return 1
    # A clock that was set back forgets nothing too early, and neither does one that jumped ahead
    # since the newest row.
    now = min(now, outlines[-1].at)
    if not _is_too_much(outlines, now, retention):
        return outlines[0].seq
    young = next(outline.seq for outline in outlines if outline.at >= now - retention.seconds)
    runs = _runs(outlines)
    surplus = len(runs) + 1 - retention.runs
    fits = outlines[-retention.rows :][0].seq
    return max(young, fits, runs[surplus] if surplus > 0 else 0)


def _is_too_much(outlines: Sequence[Outline], now: float, retention: Retention) -> bool:
    # All rows are checked before any is forgotten, so a tenth of them goes at a time (ADR 0007).
    more = 1 + retention.slack
    too_old = outlines[0].at < now - retention.seconds * more
    too_many_runs = len(_runs(outlines)) + 1 > retention.runs * more
    return too_old or too_many_runs or len(outlines) > retention.rows * more


def _runs(outlines: Sequence[Outline]) -> list[int]:
    return [outline.seq for outline in outlines if outline.mode is not None]


def surplus_passing(outlines: Iterable[Outline], retention: Retention) -> list[int]:
    """The passing runs to forget when one more run is about to open, oldest first.

    Requests may cause hundreds in a day, which must not push out what people did.
    """
    runs = list(_passing(outlines))
    is_too_much = len(runs) + 1 > retention.passing * (1 + retention.slack)
    return runs[: len(runs) + 1 - retention.passing] if is_too_much else []


def _passing(outlines: Iterable[Outline]) -> Iterator[int]:
    """The runs that brought about nothing new: loans, rests, and the wish once more."""
    known = set[tuple[str, int]]()
    for outline in outlines:
        wish = outline.host, outline.generation
        is_again = outline.mode == "forward" and wish in known
        if is_again or outline.mode in {"lease", "idle"}:
            yield outline.seq
        if outline.mode == "forward":
            known.add(wish)


def carried(rows: Iterable[Row], rest: Iterable[Row]) -> tuple[Carried, ...]:
    """What must be restated of hosts so that the rest of the rows says the same as all.

    Durations may shrink.
    """
    known = {host: _lasting(hints) for host, hints in sorted(fold(rows).items())}
    kept = fold(rest)
    return tuple(
        _restated(host, hints)
        for host, hints in known.items()
        if hints != _lasting(kept.get(host, Hints()))
    )


def _lasting(hints: Hints) -> Hints:
    # Durations are learnt again, and who asked so long ago waits no longer.
    return replace(hints, durations={}, asked={}, newest_at=0.0)


def _restated(host: str, hints: Hints) -> Carried:
    return Carried(
        host=host,
        last_good=hints.last_good,
        last_good_digest=hints.last_good_digest,
        wanted_digest=hints.wanted_digest,
        generation=hints.generation,
        judged_generation=hints.judged_generation,
        judged_at=hints.judged_at,
        quarantine=hints.quarantine,
        open_run=hints.open_run,
        unproven=tuple(sorted(hints.unproven)),
        held=hints.held,
        sent_down=hints.sent_down,
        notes=hints.notes,
        lost_conversations=hints.lost_conversations,
        boots=hints.boots,
        wanted=hints.wanted,
        leases=dict(hints.leases),
        let_go=dict(hints.let_go),
        unlendable=dict(hints.unlendable),
        idled=hints.idled,
        restless=hints.restless,
        restarts=dict(hints.restarts),
    )
