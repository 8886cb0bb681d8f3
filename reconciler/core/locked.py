"""Locked engines: what of them can be known before anything is begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model.change import StartChange, StopChange
from reconciler.model.observed import BINARY, HEALTH, UNIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.model.change import Change
    from reconciler.model.observed import Observed
    from reconciler.model.spec import Slice


def unseen_starts(changes: Sequence[Change], wanted: Slice, observed: Observed) -> tuple[str, ...]:
    """Return of which services nobody could see whether they work: those have a key, and we do not."""
    starts = [change for change in changes if isinstance(change, StartChange)]
    binaries = {
        change.model: observed.value(BINARY(change.host, change.model)) for change in starts
    }
    has_key = {model.name for model in wanted.models if model.command.secrets}
    return tuple(
        f"nobody could see whether {name} works: its service wants a key ({binary.key}); "
        "name it with `key:` of its engine in inventory.yaml"
        for name, binary in binaries.items()
        if binary is not None and binary.key and name not in has_key
    )


def ends_what_lives(changes: Sequence[Change], observed: Observed) -> bool:
    """Return whether something ends that is well: for a start that nobody can look into that is too much."""
    return any(isinstance(change, StopChange) and _lives(change, observed) for change in changes)


def _lives(change: StopChange, observed: Observed) -> bool:
    unit = observed.value(UNIT(change.host, change.model))
    health = observed.value(HEALTH(change.host, change.model))
    # Any answer counts, even one that refuses us or makes no sense (ADR 0018).
    return unit is not None and unit.leader and health is not None and health.lives
