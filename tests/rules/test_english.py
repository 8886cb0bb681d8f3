"""What people read is plain English: turns of phrase that were replaced do not come back.

The list is of phrases that were found here and replaced, not of all that could be better.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reconciler.cli.arguments import parsers
from tests.rules.tree import PACKAGE, ROOT, Module, for_each, modules

if TYPE_CHECKING:
    from collections.abc import Iterator

PHRASES = {
    r"(?:services?|units?|timers?) of systemd": "a systemd service",
    r"an? \w+ of (?:its|their|our) own": "its own folder",
    r"not something to do": "unknown command",
    r"(?:is|are) seen to be": "is, or is observed to be",
    r"(?:is|are) to be": "should be, or must be",
    r"mend(?:s|ed|ing)?": "fix, or correct",
    r"anew": "again",
    r"(?:sends?|sent) (?:(?:a|the) host |it |them |what )?down": "shut down",
    r"go(?:es)? on serving": "keep serving",
    # The account of that name is no person.
    r"(?<!user )nobody(?!:)": "nothing listens, it is not known, no other user",
    r"somebody": "another user, a person",
    r"whoever": "anyone who, what",
}
FOUND = {re.compile(rf"\b{phrase}\b", re.IGNORECASE): better for phrase, better in PHRASES.items()}
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def foreign(place: str, text: str) -> Iterator[str]:
    """Yield each phrase of the list in a text, which may go on over the end of a line."""
    said = " ".join(text.split())
    for pattern, better in FOUND.items():
        yield from (f"{place}: {found.group()}; write {better}" for found in pattern.finditer(said))


def messages(module: Module) -> Iterator[tuple[int, str]]:
    """Yield what a module may say: its strings, but not those that document it."""
    documents = {id(node.value) for node in ast.walk(module.tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(module.tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documents
        ):
            yield node.lineno, node.value


@for_each(PAGES)
def test_pages_are_plain_english(page: Path) -> None:
    assert list(foreign(page.name, page.read_text(encoding="utf-8"))) == []


def test_help_is_plain_english() -> None:
    parser, verbs = parsers()
    said = [parser.format_help(), *(verb.format_help() for verb in verbs.values())]
    assert [phrase for text in said for phrase in foreign("--help", text)] == []


@for_each(modules(PACKAGE))
def test_messages_are_plain_english(module: Module) -> None:
    said = messages(module)
    assert [
        phrase for line, text in said for phrase in foreign(f"{module.path}:{line}", text)
    ] == []


@pytest.mark.parametrize(
    "text",
    [
        "services of systemd", "in a folder of its\nown", "help is not something to do",
        "memory is seen to be free", "It is to be off", "mend it", "started anew",
        "why, for whoever", "the host is sent down", "sends the host down",
        "engines go on serving", "nobody expands ~ here", "somebody",
    ],
)  # fmt: skip
def test_a_phrase_of_the_list_is_named(text: str) -> None:
    (found,) = foreign("a.md", text)
    assert found.startswith("a.md: ")


@pytest.mark.parametrize(
    "text",
    ["recommend", "a systemd service", "its own folder", "shut down", "amended", "one of your own"],
)
def test_plain_english_and_longer_words_are_allowed(text: str) -> None:
    assert list(foreign("a.md", text)) == []


def test_strings_are_messages_and_docstrings_are_none() -> None:
    text = 'def f():\n    """Mend."""\n    raise E(f"mend {x}")\n\nLIMIT = 1\n"""Anew."""\n'
    assert list(messages(Module("a.py", text))) == [(3, "mend ")]
