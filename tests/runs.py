"""Runs to write into journals, and what journals tell of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reconciler.core.canonical import digest
from reconciler.core.projection import RunHistory
from reconciler.core.recovery import Hints, fold
from reconciler.model.records import Row, RunOpened
from tests.sample_worlds import PROVENANCE, model, slice_of


def run_opened(
    host: str, trigger: str = "apply", continues: int | None = None, generation: int = 1
) -> RunOpened:
    slice_ = slice_of(("a",), model("a"))
    made = digest(slice_)
    return RunOpened(
        host=host, mode="forward", slice=slice_, digest=made, key=made, generation=generation,
        trigger=trigger, provenance=PROVENANCE, plan=("start a",), continues=continues,
    )  # fmt: skip


def of_host(rows: Iterable[Row], host: str) -> Hints:
    """What is known of one host."""
    return fold(rows).get(host, Hints())


def history(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Every run, oldest first."""
    told = RunHistory()
    for row in rows:
        told.take(row)
    return told.told()
