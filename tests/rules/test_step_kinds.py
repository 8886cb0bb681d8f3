"""A step knows what it is to a run: nobody outside steps/ asks for its kind to find out."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.rules.tree import PACKAGE, Module, for_each, modules

if TYPE_CHECKING:
    from collections.abc import Iterator


def asked_kinds(module: Module) -> Iterator[str]:
    """Yield each comparison of the kind of a step, and each match on it."""
    if module.path.startswith(f"{PACKAGE}/steps/"):
        return
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Compare | ast.Match):
            continue
        asked = [node.left, *node.comparators] if isinstance(node, ast.Compare) else [node.subject]
        parts = [
            part for one in asked for part in (one.elts if isinstance(one, ast.Tuple) else [one])
        ]
        if any(ast.unparse(part).endswith("step.kind") for part in parts):
            yield f"{module.path}:{node.lineno}: asks for a step's kind; make it a fact of the step"


@for_each(modules(PACKAGE))
def test_no_module_asks_a_step_for_its_kind(module: Module) -> None:
    assert list(asked_kinds(module)) == []


@pytest.mark.parametrize(
    "text",
    [
        'if step.kind == "stop": ...',
        'found = planned.step.kind in {"stop", "drain"}',
        '(one.step.kind, one.step.target) == ("drain", "m")',
        "match step.kind:\n    case 'stop': ...",
    ],
)
def test_a_module_that_asks_is_named(text: str) -> None:
    (found,) = asked_kinds(Module(f"{PACKAGE}/loop/a.py", text))
    assert found.startswith(f"{PACKAGE}/loop/a.py:1:")


@pytest.mark.parametrize(
    "text", ['say(f"{step.kind} {step.target}")', "PERFORM[step.kind](step)", 'key.kind == "unit"']
)
def test_to_say_it_is_allowed(text: str) -> None:
    assert list(asked_kinds(Module(f"{PACKAGE}/loop/a.py", text))) == []
