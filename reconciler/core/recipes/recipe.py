"""Recipe: which steps bring about all changes of one host."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from reconciler.core.recipes.draft import Recipe
from reconciler.core.recipes.power import power_recipe, prepare_recipe
from reconciler.core.recipes.start import memory_recipe, prove_recipe, restore_recipe, start_recipe
from reconciler.core.recipes.stop import stop_recipe
from reconciler.model.change import (
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
    """Return the steps for all changes of one host."""
    ordered = tuple(changes)
    stops = [change for change in ordered if isinstance(change, StopChange)]
    starts = [change for change in ordered if isinstance(change, StartChange)]
    parts = [stop_recipe(change, wanted, observed) for change in stops]
    saved = _with_saved(parts, observed)
    parts.append(memory_recipe(starts, stops, wanted, observed))
    parts += [start_recipe(change, wanted, observed, saved, first=bool(stops)) for change in starts]
    parts += [prove_recipe(change, wanted) for change in ordered if isinstance(change, ProveChange)]
    parts += [
        restore_recipe(change, observed) for change in ordered if isinstance(change, RestoreChange)
    ]
    parts += [
        prepare_recipe(change, wanted, observed)
        for change in ordered
        if isinstance(change, PrepareChange)
    ]
    parts += [
        power_recipe(change, wanted, stops, observed)
        for change in ordered
        if isinstance(change, PowerChange)
    ]
    lost = [part.lost_conversations for part in parts]
    return Recipe(
        drafts=tuple(draft for part in parts for draft in part.drafts),
        notes=tuple(note for part in parts for note in part.notes),
        refusals=tuple(refusal for part in parts for refusal in part.refusals),
        lost_conversations=None if None in lost else sum(number or 0 for number in lost),
    )


def _with_saved(parts: Iterable[Recipe], observed: Observed) -> Observed:
    """Return the world in which what is to be saved before the stops has been."""
    saves = (
        draft.step for part in parts for draft in part.drafts if isinstance(draft.step, SaveSlots)
    )
    return reduce(lambda world, save: save.predict(world), saves, observed)
