"""A module's first words are its own name, also after a move."""

from __future__ import annotations

import ast
import re
from pathlib import PurePath
from typing import TYPE_CHECKING

import pytest

from tests.rules.tree import PACKAGE, Module, for_each, modules

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = re.compile(r"(\w+(?: \w+)?): ")
LETTERS = 3
"""So many letters of a word must be those of the name: `quantities` are in quantity, and `the lock`
is in lock."""


def misnamed(module: Module) -> Iterator[str]:
    head = HEAD.match(ast.get_docstring(module.tree) or "")
    name = PurePath(module.path).stem
    if (
        head
        and name != "__init__"
        and not any(word[:LETTERS] in name for word in head[1].lower().split())
    ):
        yield f"{module.path}: it begins with {head[1]!r}, which is not its name"


@for_each(modules(PACKAGE))
def test_a_module_that_begins_with_a_name_begins_with_its_own(module: Module) -> None:
    assert list(misnamed(module)) == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('"""Keeper: keep one host."""', True),
        ('"""The past: what was."""', True),
        ('"""Host loop: keep one host."""', False),
        ('"""Keep one host, pass after pass."""', False),
        ("", False),
    ],
)
def test_a_name_that_a_module_had_before_is_found(text: str, wrong: bool) -> None:
    assert bool(list(misnamed(Module("reconciler/loop/host_loop.py", text)))) == wrong
