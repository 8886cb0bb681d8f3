"""Values that one module makes: whoever else needs one asks it there."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.rules.tree import PACKAGE, Module, for_each, modules

if TYPE_CHECKING:
    from collections.abc import Iterator

MAKERS = {"Target": f"{PACKAGE}/core/policy.py"}


def made_elsewhere(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        if MAKERS.get(name, module.path) != module.path:
            yield f"{module.path}:{node.lineno}: makes a {name}; only {MAKERS[name]} does"


@for_each(modules(PACKAGE))
def test_what_has_one_maker_is_made_there(module: Module) -> None:
    assert list(made_elsewhere(module)) == []


@pytest.mark.parametrize("call", ["Target(slice=s, digest=d)", "target.Target(**given)"])
def test_a_second_maker_is_named(call: str) -> None:
    (found,) = made_elsewhere(Module(f"{PACKAGE}/loop/a.py", call))
    assert "makes a Target" in found


def test_the_maker_itself_may() -> None:
    assert list(made_elsewhere(Module(MAKERS["Target"], "Target(slice=s, digest=d)"))) == []
