"""Rollback: which runs of the past are states to go back to."""

from __future__ import annotations

from typing import get_args

import pytest

from reconciler.model.records import Mode, Row, RunClosed
from reconciler.verbs.rollback import promoted
from tests.clocks import instant
from tests.runs import run_opened
from tests.sample_worlds import HOST


@pytest.mark.parametrize("mode", get_args(Mode))
def test_what_was_there_for_a_while_is_no_state_to_go_back_to(mode: Mode) -> None:
    opened = run_opened(HOST).model_copy(update={"mode": mode})
    closed = RunClosed(host=HOST, run=1, verdict="promoted")
    rows = [Row(seq=n, when=instant(n), record=one) for n, one in ((1, opened), (2, closed))]
    leads = mode in {"forward", "rollback", "heal"}
    assert list(promoted(rows, HOST)) == ([1] if leads else [])
