"""The reference says every verb, flag and key that the code knows, and how each verb can end."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli.arguments import parsers
from reconciler.errors import ReconcilerError
from reconciler.model.verdict import EXIT_CODES as OF_OUTCOMES
from reconciler.reference import ENDS, EXIT_CODES, main, reference
from tests.rules.test_errors import tree
from tests.rules.tree import ROOT


def test_the_reference_is_current() -> None:
    assert (ROOT / "docs" / "reference.md").read_text(encoding="utf-8") == reference(), (
        "run `make schemas`"
    )


def test_the_program_writes_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    main()
    assert (tmp_path / "docs" / "reference.md").read_text(encoding="utf-8") == reference()


def test_every_verb_says_how_it_ends_and_every_code_is_explained() -> None:
    _, verbs = parsers()
    assert ENDS.keys() == verbs.keys()
    said = {code for codes in ENDS.values() for code in codes}
    known = {error.exit_code for error in tree(ReconcilerError)} | set(OF_OUTCOMES.values())
    assert {str(code) for code in known} <= said == EXIT_CODES.keys()


@pytest.mark.parametrize("table", ["README.md", "docs/reference.md"])
def test_the_readme_and_the_reference_explain_the_same_codes(table: str) -> None:
    rows = (
        line.split("|")[1].strip()
        for line in (ROOT / table).read_text(encoding="utf-8").splitlines()
        if line[:1] == "|"
    )
    assert [row for row in rows if row.isdecimal()] == list(EXIT_CODES)
