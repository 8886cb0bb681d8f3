"""Every error that may reach a person has a heading in docs/errors.md."""

from __future__ import annotations

import pytest

import reconciler.edge.http  # noqa: F401 - defines an error of its own
from reconciler.errors import ReconcilerError
from tests.rules.tree import ROOT


def tree(error: type[ReconcilerError]) -> list[type[ReconcilerError]]:
    return [one for child in error.__subclasses__() for one in (child, *tree(child))]


@pytest.mark.parametrize("error", tree(ReconcilerError), ids=lambda error: error.__name__)
def test_every_error_has_a_heading(error: type[ReconcilerError]) -> None:
    assert f"\n## {error.__name__}\n" in (ROOT / "docs" / "errors.md").read_text()
