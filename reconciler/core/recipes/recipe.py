"""Recipe: which steps bring about all changes of one host."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from reconciler.core.recipes.draft import Recipe, joined
from reconciler.core.recipes.gate import admit_recipe, hold_recipe
from reconciler.core.recipes.power import power_recipe, prepare_recipe
from reconciler.core.recipes.start import memory_recipe, prove_recipe, restore_recipe, start_recipe
from reconciler.core.recipes.stop import stop_recipe
from reconciler.model.change import (
    AdmitChange,
    Change,
    PowerChange,
    PrepareChange,
    ProveChange,
    RestoreChange,
    StartChange,
    StopChange,
)
from reconciler.model.observed import Observed
from reconciler.model.spec import Slice
from reconciler.steps.save_slots import SaveSlots


def recipe(changes: Iterable[Change], wanted: Slice, observed: Observed) -> Recipe:
    """The steps for all changes of one host."""
    ordered = tuple(changes)
    stops = [change for change in ordered if isinstance(change, StopChange)]
    starts = [change for change in ordered if isinstance(change, StartChange)]
    parts = [stop_recipe(change, wanted, observed) for change in stops]
    saved = _with_saved(parts, observed)
    parts.append(memory_recipe(starts, stops, wanted, observed))
    parts += [start_recipe(change, wanted, observed, saved, first=bool(stops)) for change in starts]
    parts += [hold_recipe(change, observed) for change in stops]
    parts += [_further(change, wanted, stops, observed) for change in ordered]
    return joined(parts)


def _further(change: Change, wanted: Slice, stops: list[StopChange], observed: Observed) -> Recipe:
    """What a change takes that neither starts nor stops anything."""
    match change:
        case ProveChange():
            return prove_recipe(change, wanted)
        case RestoreChange():
            return restore_recipe(change, observed)
        case PrepareChange():
            return prepare_recipe(change, wanted, observed)
        case AdmitChange():
            return admit_recipe(change, observed)
        case PowerChange():
            return power_recipe(change, wanted, stops, observed)
        case _:
            return Recipe(())


def _with_saved(parts: Iterable[Recipe], observed: Observed) -> Observed:
    """The world in which what must be saved before the stops has been."""
    steps = (draft.step for part in parts for draft in part.drafts)
    saves = (step for step in steps if isinstance(step, SaveSlots))
    return reduce(lambda world, save: save.predict(world), saves, observed)
