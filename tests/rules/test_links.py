"""What a page leads to is there, and a decision has a number of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rules.tree import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
DECISIONS = sorted(path.name for path in (ROOT / "docs" / "adr").glob("*.md"))
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


def dead_links(page: Path, text: str) -> Iterator[str]:
    """Yield each link of a page that leads to nothing beside it."""
    for link in LINK.findall(text):
        if not (page.parent / link).exists():
            yield f"{page.name} leads to {link}"


def misnumbered(names: list[str]) -> Iterator[str]:
    """Yield each decision whose number is not the next one."""
    for expected, name in enumerate(sorted(names), start=1):
        if not name.startswith(f"{expected:04}-"):
            yield f"{name} is decision {expected:04}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(dead_links(page, page.read_text(encoding="utf-8"))) == []


def test_every_decision_has_a_number_of_its_own() -> None:
    assert list(misnumbered(DECISIONS)) == []


def test_a_dead_link_and_a_number_that_is_taken_are_named() -> None:
    text = "[a](gone.md) [b](README.md#x) [c](https://example.org/x) [d](#here)"
    assert list(dead_links(ROOT / "README.md", text)) == ["README.md leads to gone.md"]
    assert list(misnumbered(["0001-a.md", "0001-b.md", "0003-c.md"])) == ["0001-b.md is decision 0002"]


@pytest.mark.parametrize(
    ("page", "unit", "said"),
    [
        ("README.md", "deploy/user/reconciler.service", ("~/.local/bin/reconciler", "~/stack")),
        ("docs/install.md", "deploy/user/reconciler.service", ("~/.local/bin/reconciler", "~/stack")),
        ("docs/install.md", "deploy/reconciler.service", ("/usr/local/bin/reconciler", "/etc/reconciler")),
    ],
)
def test_a_unit_runs_what_the_page_installs_and_reads_where_the_page_writes(page: str, unit: str, said: tuple[str, str]) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    program, files = (word.replace("~", "%h") for word in said)
    written = (ROOT / unit).read_text(encoding="utf-8").splitlines()
    assert all(word in text for word in said)
    assert {f"ExecStart={program} watch", f"Environment=RECONCILER_STATE={files}"} <= {*written}


@pytest.mark.parametrize(
    "asked",
    ["127.0.0.1:8080/v1", "another machine", "two models", "Docker", "context size", "update llama.cpp", "hold --reason",
     "quarantined", "no file names", "get rid of it", "Stalled", "generation", "heal", "`~`"],
)  # fmt: skip
def test_what_is_asked_first_is_answered_one_link_from_the_readme(asked: str) -> None:
    assert "docs/questions.md" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert asked in (ROOT / "docs/questions.md").read_text(encoding="utf-8")
