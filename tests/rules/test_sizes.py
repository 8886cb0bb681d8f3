"""Small modules, small functions, few parameters, short lines."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.rules.tree import Module, for_each, modules

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULE_LINES = 400
FUNCTION_LINES = 60
COLUMNS = 100
PRAGMA = re.compile(r"\s+# (?:noqa|type|pragma|fmt): ")
PARAMETERS = 6


def too_large(module: Module) -> Iterator[str]:
    lines = module.text.splitlines()
    if len(lines) >= MODULE_LINES:
        yield f"{module.path}: {len(lines)} lines; keep it under {MODULE_LINES}"
    for number, line in enumerate(lines, 1):
        # What a line tells a linter has to stand on it.
        if len(PRAGMA.split(line)[0]) > COLUMNS:
            yield f"{module.path}:{number}: over {COLUMNS} columns"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _too_large_function(module, node)


def _too_large_function(
    module: Module, function: ast.FunctionDef | ast.AsyncFunctionDef
) -> Iterator[str]:
    place = f"{module.path}:{function.lineno}: {function.name}"
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if lines >= FUNCTION_LINES:
        yield f"{place} has {lines} lines; keep it under {FUNCTION_LINES}"
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    counted = len([name for name in names if name not in {"self", "cls"}])
    if counted > PARAMETERS:
        yield f"{place} has {counted} parameters; {PARAMETERS} at most"


@for_each(modules())
def test_every_module_stays_small(module: Module) -> None:
    assert list(too_large(module)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n" * MODULE_LINES, f"a.py: {MODULE_LINES} lines"),
        ("x = 1\n" + "y" * (COLUMNS + 1), f"a.py:2: over {COLUMNS} columns"),
        (
            "def f():\n" + "    x = 1\n" * (FUNCTION_LINES - 1),
            f"a.py:1: f has {FUNCTION_LINES} lines",
        ),
        ("async def f(a, b, c, /, d, e, *, f, g): ...\n", "a.py:1: f has 7 parameters"),
        ("class A:\n    def f(self, a, b, c, d, e, f, g): ...\n", "a.py:2: f has 7 parameters"),
    ],
    ids=["module", "line", "function", "parameters", "method"],
)
def test_what_is_too_large_is_named(text: str, said: str) -> None:
    (found,) = too_large(Module("a.py", text))
    assert found.startswith(said)


def test_the_limits_themselves_are_allowed() -> None:
    text = "def f(self, a, b, c, d, e, f):\n" + "    x = 1\n" * (FUNCTION_LINES - 2)
    assert list(too_large(Module("a.py", text + "y = 1\n" * (MODULE_LINES - FUNCTION_LINES)))) == []


def test_the_rule_reads_the_package_and_the_tests() -> None:
    assert {module.path for module in modules()} >= {
        "reconciler/__init__.py",
        "tests/rules/test_sizes.py",
    }
