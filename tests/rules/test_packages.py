"""A package says what lives there and who calls it: that is how one guesses the right file."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.rules.tree import PACKAGE, Module, for_each, modules

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = [module for module in modules(PACKAGE) if module.path.endswith("/__init__.py")]
SENTENCE = re.compile(r"\.(?:\s|$)")
CALLERS = re.compile(r"^(?:Called|Made|Planned|Started|Used)\s", re.MULTILINE)


def untold(module: Module) -> Iterator[str]:
    said = ast.get_docstring(module.tree) or ""
    if len(SENTENCE.findall(said)) < len(["what lives there", "who calls it"]):
        yield f"{module.path}: say in two sentences or more what lives there and who calls it"
    elif not CALLERS.search(said):
        yield (
            f"{module.path}: say who calls it: a line that begins with Called by, Made by, Planned"
            " by, Started by or Used by"
        )


@for_each(PACKAGES)
def test_every_package_says_what_it_is_and_who_calls_it(module: Module) -> None:
    assert list(untold(module)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "two sentences"),
        ("# Steps.", "two sentences"),
        ('"""Steps, one a file"""', "two sentences"),
        ('"""Steps, one a file. They do nothing."""', "who calls it"),
    ],
)
def test_a_package_that_says_too_little_is_named(text: str, said: str) -> None:
    (found,) = untold(Module("a/__init__.py", text))
    assert said in found


def test_a_package_that_says_both_is_fine() -> None:
    assert (
        list(untold(Module("a/__init__.py", '"""Steps, one a file.\n\nPlanned by core.\n"""')))
        == []
    )


def test_the_rule_reads_packages() -> None:
    assert {f"{PACKAGE}/__init__.py", f"{PACKAGE}/steps/__init__.py"} <= {
        module.path for module in PACKAGES
    }
