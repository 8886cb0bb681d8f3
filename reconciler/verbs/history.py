"""History: the runs, what caused them, and how they ended."""

from __future__ import annotations

from reconciler.core.wording import listed
from reconciler.errors import Misused
from reconciler.render.documents import HistoryDocument, RunDocument
from reconciler.verbs.context import Reader
from reconciler.verbs.past import told
from reconciler.verbs.result import Outcome

NEWEST = 20
"""How many runs a person is told of who does not say how many."""


async def run(
    reader: Reader, run_number: int | None, most: int | None = None
) -> Outcome[HistoryDocument]:
    """Tell every run, at most so many of the newest, or the one asked for.

    Raise Misused naming the runs there are, and where they were looked for.
    """
    directory = reader.controller.directory
    runs = await told(reader.journal)
    chosen = [one for one in runs if run_number in {None, one["run"]}]
    if run_number is not None and not chosen:
        last = listed((one["run"] for one in runs[-10:]), "none yet")
        raise Misused(f"there is no run {run_number} in {directory}; the last ones are: {last}")
    newest = chosen[-(most or len(chosen)) :]
    told_so = tuple(RunDocument.model_validate(one) for one in newest)
    earlier = len(chosen) - len(newest)
    return Outcome(HistoryDocument(directory=directory, earlier=earlier, runs=told_so))
