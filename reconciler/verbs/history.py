"""History: the runs, what caused them, and how they ended."""

from __future__ import annotations

from reconciler.core.projection import history
from reconciler.core.wording import listed
from reconciler.errors import Misused
from reconciler.render.documents import HistoryDocument
from reconciler.verbs.context import Reader
from reconciler.verbs.result import Outcome


async def run(reader: Reader, run_number: int | None) -> Outcome[HistoryDocument]:
    """Tell every run, or the one asked for.

    Raise Misused naming the runs there are, and where they were looked for.
    """
    directory = reader.controller.directory
    runs = history(await reader.journal.rows())
    chosen = [one for one in runs if run_number in {None, one["run"]}]
    if run_number is not None and not chosen:
        last = listed((one["run"] for one in runs[-10:]), "none yet")
        raise Misused(f"there is no run {run_number} in {directory}; the last ones are: {last}")
    return Outcome(HistoryDocument.model_validate({"directory": directory, "runs": chosen}))
