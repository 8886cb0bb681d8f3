"""No file of the project says where it was written, or which registry serves its packages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.rules.tree import for_each, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

# Spelt in pieces, or this file would break its own rule.
WORK, ROOT, PYPI, INDEX = f"/{'wo'}rk", f"/{'ro'}ot", f"{'py'}pi", f"--{'index'}-url"

MACHINE_PATHS = re.compile(rf"(?<![\w./-])(?:{WORK}|{ROOT}|/opt/{PYPI})\b(?![-.]\w)")
REGISTRIES = re.compile(
    rf"{PYPI}\.org|python{'hosted'}|npm{'js'}\.org|{INDEX}|--extra{INDEX[1:]}|--find{'-links'}\b"
)

# The option that keeps registries out of the lock has to be named where the lock is made.
KEEPS_REGISTRIES_OUT = re.compile(r"--no-emit-[a-z-]+")


def told(path: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        said = KEEPS_REGISTRIES_OUT.sub("", line)
        for pattern, why in ((MACHINE_PATHS, "a path of one machine"), (REGISTRIES, "a registry")):
            if found := pattern.search(said):
                yield f"{path}:{number}: {found.group()} is {why}"


@for_each(sorted(texts()))
def test_no_file_tells_where_it_was_written_or_who_serves_its_dependencies(path: str) -> None:
    assert list(told(path, texts()[path])) == []


@pytest.mark.parametrize(
    "line",
    [
        f"see {WORK}/notes.md",
        f"cd {WORK}",
        f'HOME = "{ROOT}/x"',
        f"https://{PYPI}.org/simple",
        f"pip install {INDEX} x",
    ],
)
def test_a_telling_line_is_named(line: str) -> None:
    (found,) = told("a.md", f"fine\n{line}\n")
    assert found.startswith("a.md:2")


@pytest.mark.parametrize(
    "line",
    [f"net{WORK}/x", f"state{ROOT}/a", "/sys/class/net", "--no-emit-index-url", f"{WORK}ers"],
)
def test_a_line_that_tells_nothing_is_allowed(line: str) -> None:
    assert list(told("a.md", line)) == []


def test_the_readme_is_short() -> None:
    assert len(texts()["README.md"].splitlines()) < 120


def test_the_rule_reads_the_whole_project() -> None:
    assert {
        ".ci/run",
        "Makefile",
        "pyproject.toml",
        "reconciler/__init__.py",
        "requirements.lock",
        "requirements-dev.lock",
    } <= texts().keys()
