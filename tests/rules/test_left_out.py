"""A test that cannot run here is left out in one way, counted last with what brings it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.needs import REASON, left_out
from tests.rules.tree import ROOT, modules

if TYPE_CHECKING:
    from pathlib import Path

OWN = "tests/rules/test_left_out.py"
SKIPPING = re.compile(r"pytest\.skip\(|mark\.skip\b|importorskip|unittest\.skip")
FISH, ROOT_ONLY = (
    "for want of fish (`sudo tests/rigs/install` brings it)",
    "for want of root (`sudo make test` has it)",
)
SUITE = """
import pytest
from tests.needs import need

@pytest.mark.parametrize("number", range(2))
def test_with_a_program_that_no_machine_has(number: int) -> None:
    need("sh", "no-such-program")

def test_with_one_that_every_machine_has() -> None:
    need("sh")
"""


def suite(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text("from tests.conftest import pytest_sessionfinish\n")
    (folder / "test_it.py").write_text(SUITE)
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        str(folder),
    ]
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "TESTS_"))
    }
    return subprocess.run(
        argv,
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_last_line_says_what_was_left_out_and_what_brings_it(tmp_path: Path) -> None:
    done = suite(tmp_path)
    last = done.stdout.splitlines()[-1]
    assert (
        last
        == "Left out: 2 tests, 2 for want of no-such-program (`sudo tests/rigs/install` brings it)"
    )
    assert done.returncode == 0


def test_where_everything_is_to_run_what_was_left_out_is_a_failure(tmp_path: Path) -> None:
    assert suite(tmp_path, TESTS_COMPLETE="1").returncode == 1


@pytest.mark.parametrize(
    ("reasons", "line"),
    [
        ([], ""),
        (["Skipped: llama-server itself does otherwise"], ""),
        ([f"Wanting: {FISH}"], f"Left out: 1 tests, 1 {FISH}"),
        (
            [
                f"tests.needs.Wanting: {FISH}",
                f"tests.needs.Wanting: {ROOT_ONLY}",
                f"tests.needs.Wanting: {FISH}",
            ],
            f"Left out: 3 tests, 2 {FISH}; 1 {ROOT_ONLY}",
        ),
        (
            [f"Wanting: {REASON}zsh, ssh (this)", f"Wanting: {REASON}ssh (this)"],
            f"Left out: 2 tests, 2 {REASON}ssh, zsh (this)",
        ),
    ],
)
def test_what_was_left_out_is_counted_by_what_brings_it(reasons: list[str], line: str) -> None:
    assert left_out(reasons) == line


def test_nothing_is_left_out_in_another_way() -> None:
    assert [
        one.path
        for one in modules("tests")
        if SKIPPING.search(one.text) and one.path != "tests/rules/test_left_out.py"
    ] == []
