"""Every test that a page of promises names is there, and every promise of README.md has one."""

from __future__ import annotations

import re

from tests.rules.tree import ROOT, for_each

PAGES = ("gateway.md", "properties.md", "security.md")
TESTS = re.compile(r"tests/[\w/]+\.py(?:::\w+)?")
NAMED = sorted(
    {
        name
        for page in PAGES
        for name in TESTS.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))
    }
)

PROMISED = re.findall(
    r"^- \*\*([^*]+?)\.?\*\*", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
)


def test_every_promise_of_the_readme_is_in_the_table() -> None:
    page = (ROOT / "docs" / "properties.md").read_text(encoding="utf-8")
    shown = {row.split(" | ")[0].removeprefix("| ") for row in page.splitlines()}
    assert PROMISED
    assert [promise for promise in PROMISED if promise.partition(",")[0] not in shown] == []


def test_every_promise_about_safety_has_a_number_and_a_test() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    shown = r"tests/\S+::\w+"
    rows = re.findall(rf"^\| (\d+) \| .+ \| .+ \| {shown}(?:, {shown})* \|$", page, re.MULTILINE)
    assert [int(number) for number in rows] == [*range(1, len(rows) + 1)]
    assert len(rows) == len(re.findall(r"^\| \d+ \|", page, re.MULTILINE))


@for_each(NAMED)
def test_a_promise_is_shown_by_a_test_that_exists(named: str) -> None:
    file, _, name = named.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not name or re.search(
        rf"^(async )?def {name}\(|^{name} = |^class {name}\b", text, re.MULTILINE
    )
