"""History: the runs, what caused them, and how they ended."""

from __future__ import annotations

from reconciler.core.projection import history
from reconciler.errors import Misused
from reconciler.ports import JournalReader
from reconciler.verbs.outcome import Outcome


def run(journal: JournalReader, run_number: int | None) -> Outcome:
    """Return every run, or the one asked for; raise Misused naming the runs there are."""
    runs = history(journal.rows())
    if run_number is None:
        return Outcome({"version": 1, "runs": runs})
    chosen = [one for one in runs if one["run"] == run_number]
    if not chosen:
        numbers = ", ".join(str(one["run"]) for one in runs[-10:]) or "none yet"
        raise Misused(f"there is no run {run_number}; the last ones are: {numbers}")
    return Outcome({"version": 1, "runs": chosen})
