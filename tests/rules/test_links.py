"""What a page leads to or names is there, and each decision has its own number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rules.tree import PACKAGE, ROOT, for_each

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
DECISIONS = sorted(path.name for path in (ROOT / "docs" / "adr").glob("*.md"))
PARTS = {
    path.name
    for folder in (PACKAGE, f"{PACKAGE}/drivers")
    for path in (ROOT / folder).iterdir()
    if path.is_dir()
}
NAMED = re.compile(r"(?<![\w./~-])(\w+)((?:/\w+)+)(?:\.(\w+))?")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


def dead_links(page: Path, text: str) -> Iterator[str]:
    """Yield each link of a page that leads to nothing beside it."""
    for link in LINK.findall(text):
        if not (page.parent / link).exists():
            yield f"{page.name} leads to {link}"


def gone(page: str, text: str) -> Iterator[str]:
    """Each module or name, such as core/policy.aim, that a page names and that is not there."""
    for part, rest, name in NAMED.findall(text):
        if part in PARTS:
            places = [ROOT / PACKAGE / folder / f"{part}{rest}" for folder in ("", "drivers")]
            found = next(
                (
                    place
                    for path in places
                    for place in (path.with_suffix(".py"), path)
                    if place.exists()
                ),
                None,
            )
            if found is None or (
                name
                and found.is_file()
                and not re.search(rf"\b{name}\b", found.read_text(encoding="utf-8"))
            ):
                yield f"{page} names {part}{rest}" + (f".{name}" if name else "")


def misnumbered(names: list[str]) -> Iterator[str]:
    """Yield each decision whose number is not the next one."""
    for expected, name in enumerate(sorted(names), start=1):
        if not name.startswith(f"{expected:04}-"):
            yield f"{name} is decision {expected:04}"


@for_each(PAGES)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(dead_links(page, page.read_text(encoding="utf-8"))) == []


@for_each(PAGES)
def test_every_module_that_a_page_names_is_there(page: Path) -> None:
    assert list(gone(page.name, page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "name",
    ["core/policies", "store/source", "core/policy.aims", "engines/llama/setup", "`loop/past`"],
)
def test_a_module_that_is_gone_is_named(name: str) -> None:
    (found,) = gone("a.md", f"see {name} for it")
    assert found == f"a.md names {name.strip('`')}"


@pytest.mark.parametrize(
    "name",
    [
        "core/policy.aim",
        "engines/llama/judging",
        "core/report",
        "~/.config/loop/past",
        "state/past",
        "and/or",
    ],
)
def test_a_module_that_is_there_and_other_paths_are_fine(name: str) -> None:
    assert list(gone("a.md", f"see {name}.")) == []


def test_every_decision_has_its_own_number() -> None:
    assert list(misnumbered(DECISIONS)) == []


def test_a_dead_link_and_a_number_that_is_taken_are_named() -> None:
    text = "[a](gone.md) [b](README.md#x) [c](https://example.org/x) [d](#here)"
    assert list(dead_links(ROOT / "README.md", text)) == ["README.md leads to gone.md"]
    assert list(misnumbered(["0001-a.md", "0001-b.md", "0003-c.md"])) == [
        "0001-b.md is decision 0002"
    ]


@pytest.mark.parametrize(
    ("page", "unit", "said"),
    [
        ("README.md", "deploy/user/reconciler.service", ("~/.local/bin/reconciler", "~/stack")),
        (
            "docs/install.md",
            "deploy/user/reconciler.service",
            ("~/.local/bin/reconciler", "~/stack"),
        ),
        (
            "docs/install.md",
            "deploy/reconciler.service",
            ("/usr/local/bin/reconciler", "/etc/reconciler"),
        ),
    ],
)
def test_a_unit_runs_what_the_page_installs_and_reads_where_the_page_writes(
    page: str, unit: str, said: tuple[str, str]
) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    program, files = (word.replace("~", "%h") for word in said)
    written = (ROOT / unit).read_text(encoding="utf-8").splitlines()
    assert all(word in text for word in said)
    assert {f"ExecStart={program} watch", f"Environment=RECONCILER_STATE={files}"} <= {*written}


@pytest.mark.parametrize(
    "asked",
    [
        "127.0.0.1:8080/v1", "another machine", "two models", "Docker", "context size",
        "update llama.cpp", "hold --reason", "quarantined", "no file names", "get rid of it",
        "Stalled", "generation", "heal", "`~`",
    ],
)  # fmt: skip
def test_what_is_asked_first_is_answered_one_link_from_the_readme(asked: str) -> None:
    assert "docs/questions.md" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert asked in (ROOT / "docs/questions.md").read_text(encoding="utf-8")
