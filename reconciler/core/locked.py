"""Locked engines: what of them can be known before anything is begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model.change import StartChange, StopChange
from reconciler.model.sight import ModelSight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.model.change import Change
    from reconciler.model.observed import Observed
    from reconciler.model.spec import Slice


def unseen_starts(changes: Sequence[Change], wanted: Slice, observed: Observed) -> tuple[str, ...]:
    """Which services could not be seen to work once started: they want a key that we lack."""
    has_key = {model.name for model in wanted.models if model.command.secrets}
    keys = _keys(changes, observed)
    return tuple(
        f"it could not be seen whether {name} works: its service wants a key ({key}); "
        "name it with `key:` of its engine in inventory.yaml"
        for name, key in keys.items()
        if key and name not in has_key
    )


def _keys(changes: Sequence[Change], observed: Observed) -> dict[str, str]:
    """What makes the service of each model that starts want a key, empty where nothing does."""
    starts = (change for change in changes if isinstance(change, StartChange))
    binaries = {
        change.model: ModelSight(observed, change.host, change.model).binary for change in starts
    }
    return {name: binary.key for name, binary in binaries.items() if binary is not None}


def ends_what_lives(changes: Sequence[Change], observed: Observed) -> bool:
    """Whether something ends that is well."""
    return any(isinstance(change, StopChange) and _lives(change, observed) for change in changes)


def _lives(change: StopChange, observed: Observed) -> bool:
    seen = ModelSight(observed, change.host, change.model)
    unit, health = seen.unit, seen.health
    if unit is None or not unit.leader:
        return False
    # Any answer counts, even one that refuses us or makes no sense (ADR 0018).
    return health is not None and health.lives
