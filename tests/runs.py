"""Runs to write into journals."""

from __future__ import annotations

from reconciler.core.canonical import digest
from reconciler.model.records import RunOpened
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
