"""History: the runs, what caused them, and how they ended."""

from __future__ import annotations

from reconciler.core.wording import listed
from reconciler.errors import Misused
from reconciler.render.documents import HistoryDocument, RunDocument
from reconciler.verbs.context import Reader
from reconciler.verbs.past import told
from reconciler.verbs.result import Outcome


async def run(reader: Reader, run_number: int | None) -> Outcome[HistoryDocument]:
    """Tell every run, or the one asked for.

    Raise Misused naming the runs there are, and where they were looked for.
    """
    directory = reader.controller.directory
    runs = await told(reader.journal)
    chosen = [one for one in runs if run_number in {None, one["run"]}]
    if run_number is not None and not chosen:
        last = listed((one["run"] for one in runs[-10:]), "none yet")
        raise Misused(f"there is no run {run_number} in {directory}; the last ones are: {last}")
    told_so = [RunDocument.model_validate(one) for one in chosen]
    return Outcome(HistoryDocument(directory=directory, runs=tuple(told_so)))
