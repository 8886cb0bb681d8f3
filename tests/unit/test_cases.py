"""Every golden case is what the planner says today; UPDATE_CASES=1 writes down what it says."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from reconciler.core.ordering import PHASES
from tests.casefile import EXITS, FOLDER, read, rewritten
from tests.casework import outcome

PATHS = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_case_is_planned_as_it_is_written(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    case = read(path)
    planned = outcome(case)
    if os.environ.get("UPDATE_CASES"):
        path.write_text(rewritten(text, planned), encoding="utf-8")
    else:
        assert case.expected == planned
        assert text == rewritten(text, planned), (
            "the expectation is laid out as UPDATE_CASES=1 writes it"
        )


def test_nothing_lies_beside_the_cases_that_no_test_reads() -> None:
    assert sorted(FOLDER.rglob("*")) == PATHS


def test_no_two_cases_show_the_same_situation() -> None:
    cases = [read(path) for path in PATHS]
    situations = Counter(case.model_dump_json(exclude={"says", "expected"}) for case in cases)
    assert [text for text, times in situations.items() if times > 1] == []
    assert [text for text, times in Counter(case.says for case in cases).items() if times > 1] == []


def test_the_cases_show_every_exit_and_every_kind_of_step() -> None:
    cases = [read(path) for path in PATHS]
    assert {case.expected.exit for case in cases} == set(EXITS.values())
    shown = "\n".join(case.expected.plan for case in cases)
    assert [kind for kind in PHASES if f"  {kind} " not in shown] == []


def test_a_word_that_the_notation_does_not_have_is_refused(tmp_path: Path) -> None:
    text = (FOLDER / "switch.yaml").read_text(encoding="utf-8")
    (tmp_path / "misspelt.yaml").write_text(text.replace("slots:", "slot:"), encoding="utf-8")
    with pytest.raises(ValidationError, match="slot"):
        read(tmp_path / "misspelt.yaml")
