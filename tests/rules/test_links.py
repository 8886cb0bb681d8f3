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
