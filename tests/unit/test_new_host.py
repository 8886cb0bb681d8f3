"""A machine that no file names yet is called by what was typed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from reconciler.verbs import new_host

if TYPE_CHECKING:
    from reconciler.model.spec import Slice
    from reconciler.verbs.context import Reader


@pytest.mark.parametrize(
    ("typed", "called", "named"),
    [
        ("llm@10.0.0.9", "10.0.0.9", "gpu-host"),
        ("Box.lan", "box.lan", "box"),
        ("fe80::1", "gpu-host", "gpu-host"),
    ],
)
def test_trouble_names_the_machine_as_it_was_typed(typed: str, called: str, named: str) -> None:
    asked: list[Slice] = []
    where = new_host.where(typed)
    new_host.readers(cast("Reader", SimpleNamespace(readers=asked.append)), where)
    assert ([one.host.name for one in asked], where.host) == ([called], named)
