"""Restarting: which units a person asked to be replaced by fresh ones, and until when that counts.

It is asked of a unit, not of a model: of the one that takes its place nothing is asked, so that
what is asked twice is done once, also across a death of the controller.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model.facts import Unit
from reconciler.model.records import DueRestart, Restart, Row, RunClosed

CAUSE = "a restart was asked for"


def asked_after(
    due: Mapping[str, DueRestart], row: Row, record: Restart
) -> Mapping[str, DueRestart]:
    """What is due once it was asked for by a row."""
    return {**due, record.model: DueRestart(identity=record.identity, asked=row.seq)}


def left_after(
    due: Mapping[str, DueRestart], run: int, closed: RunClosed
) -> Mapping[str, DueRestart]:
    """What is still due after a run.

    What was asked before it began has had its try, unless the run made way for another one: a
    restart that failed is not tried again by itself, for the unit may serve.
    """
    if closed.verdict == "superseded":
        return due
    return {name: one for name, one in due.items() if one.asked > run}


def is_due(due: Mapping[str, DueRestart], model_name: str, unit: Unit) -> bool:
    """Whether this very unit is to be replaced by a fresh one."""
    asked = due.get(model_name)
    return asked is not None and asked.identity == unit.identity
