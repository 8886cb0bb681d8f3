"""Every test that docs/properties.md names is there, and every promise of README.md has one."""

from __future__ import annotations

import re

from tests.rules.tree import ROOT, for_each

NAMED = sorted(
    set(
        re.findall(
            r"tests/[\w/]+\.py(?:::\w+)?",
            (ROOT / "docs" / "properties.md").read_text(encoding="utf-8"),
        )
    )
)


PROMISED = re.findall(
    r"^- \*\*([^*]+?)\.?\*\*", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
)


def test_every_promise_of_the_readme_is_in_the_table() -> None:
    page = (ROOT / "docs" / "properties.md").read_text(encoding="utf-8")
    shown = {row.split(" | ")[0].removeprefix("| ") for row in page.splitlines()}
    assert PROMISED
    assert [promise for promise in PROMISED if promise.partition(",")[0] not in shown] == []


@for_each(NAMED)
def test_a_promise_is_shown_by_a_test_that_exists(named: str) -> None:
    file, _, name = named.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not name or re.search(
        rf"^(async )?def {name}\(|^{name} = |^class {name}\b", text, re.MULTILINE
    )
