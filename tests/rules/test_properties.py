"""Every test that docs/properties.md names is there."""

from __future__ import annotations

import re

import pytest

from tests.rules.tree import ROOT

NAMED = sorted(set(re.findall(r"tests/[\w/]+\.py(?:::\w+)?", (ROOT / "docs" / "properties.md").read_text(encoding="utf-8"))))


@pytest.mark.parametrize("named", NAMED)
def test_a_promise_is_shown_by_a_test_that_exists(named: str) -> None:
    file, _, name = named.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not name or re.search(rf"^(async )?def {name}\(|^{name} = |^class {name}\b", text, re.MULTILINE)
