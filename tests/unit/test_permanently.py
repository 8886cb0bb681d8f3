"""After a rollback, what makes the files say so for good brings back just what was wanted."""

from __future__ import annotations

from typing import Any

from reconciler.core.canonical import digest
from reconciler.model.records import RunOpened
from reconciler.model.spec import Slice
from reconciler.verbs.rollback import permanently
from tests.sample_worlds import HOST, PROVENANCE, model, slice_of

A, B = model("a"), model("b")
THEN = slice_of(("a",), A, B)


def run_of(slice_: Slice, **provenance: Any) -> RunOpened:
    return RunOpened(
        host=HOST, mode="forward", slice=slice_, digest=digest(slice_), key=digest("key"),
        generation=1, trigger="apply", provenance=PROVENANCE.model_copy(update=provenance), plan=(),
    )  # fmt: skip


def test_a_commit_that_has_just_that_is_checked_out() -> None:
    way = "git checkout 4f1c2ab00000 -- desired.yaml inventory.yaml, and commit"
    assert permanently(run_of(THEN), slice_of(("b",), A, B)) == way


def test_a_commit_beside_which_something_else_was_applied_is_not_checked_out() -> None:
    for state in ("modified", "untracked", "not in git"):
        assert (
            permanently(run_of(THEN, state=state), slice_of(("b",), A, B))
            == "let desired.yaml say `active: [a]`"
        )


def test_a_definition_that_is_another_now_is_named() -> None:
    now = slice_of(("a",), model("a", digest=digest("another")), B)
    way = "let desired.yaml say `active: [a]`, and inventory.yaml define a as it did then"
    assert permanently(run_of(THEN, state="modified"), now) == way


def test_what_was_not_managed_is_left_out() -> None:
    assert (
        permanently(run_of(slice_of(None, A), state="untracked"), THEN)
        == "let desired.yaml leave out `active:`"
    )
