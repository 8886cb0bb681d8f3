"""A name says what a thing is; some words say nothing."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from tests.rules.measures import public_classes
from tests.rules.tree import PACKAGE, Module, for_each, modules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EMPTY_WORDS = {"manager", "handler", "helper", "util", "common", "base", "data", "info"}

ALLOWED = {
    # `--data DIR` and RECONCILER_DATA are what operators type; XDG speaks of data directories.
    "data_directory",
    "data_home",
    # What asyncio calls on a protocol.
    "data_received",
}

# What the contract of plug-ins calls them: the catalog finds them by these names, in whichever file
# a kind is.
CONTRACT = {"Driver", "Options", "Dialect"}

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def empty_names(module: Module) -> Iterator[str]:
    places = [(module.name.rpartition(".")[2], 1), *_given_names(module.tree)]
    for name, line in places:
        words = {word.lower().removesuffix("s") for word in WORD.findall(name)}
        if name not in ALLOWED and words & EMPTY_WORDS:
            yield (
                f"{module.path}:{line}: {name} says {', '.join(sorted(words & EMPTY_WORDS))}; name"
                " what it is"
            )


def _given_names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The names that a module gives, without those given to it (imports, foreign attributes)."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case ast.Attribute(ctx=ast.Store(), value=ast.Name(id="self" | "cls")):
                yield node.attr, node.lineno
            case (
                ast.alias(asname=str(name))
                | ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
            ):
                yield name, node.lineno


def repeated_classes(sources: Iterable[Module]) -> Iterator[str]:
    """Each name of several public classes: a reader would have to know which one is meant."""
    places: dict[str, list[str]] = defaultdict(list)
    for module in sources:
        for node in public_classes(module):
            places[node.name].append(f"{module.path}:{node.lineno}")
    for name, found in places.items():
        if len(found) > 1 and name not in CONTRACT:
            yield f"{name} is {' and '.join(found)}; give each public class its own name"


@for_each(modules())
def test_every_name_says_what_it_is(module: Module) -> None:
    assert list(empty_names(module)) == []


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("a/utils.py", "", "a/utils.py:1: utils says util"),
        ("a/common/__init__.py", "", "a/common/__init__.py:1: common says common"),
        ("a.py", "class BaseEngine: ...", "a.py:1: BaseEngine says base"),
        ("a.py", "class HTTPHandler: ...", "a.py:1: HTTPHandler says handler"),
        ("a.py", "def get_info(): ...", "a.py:1: get_info says info"),
        ("a.py", "def f(raw_data): ...", "a.py:1: raw_data says data"),
        ("a.py", "for manager in x: ...", "a.py:1: manager says manager"),
        ("a.py", "import x as helpers", "a.py:1: helpers says helper"),
        ("a.py", "class A:\n    def f(self):\n        self.data = 1", "a.py:3: data says data"),
    ],
    ids=lambda value: value.replace("\n", " ") or "empty",
)
def test_an_empty_word_is_named(path: str, text: str, said: str) -> None:
    (found,) = empty_names(Module(path, text))
    assert found.startswith(said)


@pytest.mark.parametrize(
    "text",
    [
        "from pydantic import BaseModel",
        "class A(BaseModel): ...",
        "reply.data.clear()",
        "database = basename(1)",
    ],
)
def test_given_names_and_longer_words_are_allowed(text: str) -> None:
    assert list(empty_names(Module("a.py", text))) == []


def test_every_public_class_has_its_own_name() -> None:
    assert list(repeated_classes(modules(PACKAGE))) == []


def test_a_name_of_two_classes_is_named_with_both_places() -> None:
    two = (Module("a.py", "class Place: ..."), Module("b.py", "x = 1\nclass Place: ..."))
    (found,) = repeated_classes(two)
    assert found.startswith("Place is a.py:1 and b.py:2;")


@pytest.mark.parametrize(
    "text", ["class Driver: ...", "class Options: ...", "class Dialect: ...", "class _Place: ..."]
)
def test_names_of_the_contract_and_private_ones_may_come_again(text: str) -> None:
    assert list(repeated_classes([Module("a.py", text), Module("b.py", text)])) == []
