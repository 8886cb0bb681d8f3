"""The measures of the house count what they say they count, and the house keeps to its goals."""

from __future__ import annotations

import pytest

from tests.rules.measures import MEASURES, circles, comments_per_100, median_nodes, table
from tests.rules.tree import PACKAGE, ROOT, Module, modules

MOST_NODES = 40
FEWEST_COMMENTS = 1.5

ALONE = Module("reconciler/a.py", "x = 1\n")
FUNCTIONS = Module(
    "reconciler/a.py",
    'def f():\n    """Say."""\n    return 1\n\n\ndef g():\n    # why\n    return f()\n',
)
TWICE = (
    Module("reconciler/a.py", "class Place: ...\n"),
    Module("reconciler/b.py", "class Place: ...\nclass _Place: ...\n"),
)
CIRCLE = (
    Module("reconciler/a.py", "from reconciler.b import x\n"),
    Module("reconciler/b.py", "if TYPE_CHECKING:\n    from reconciler import a\n"),
    Module("reconciler/c.py", "from reconciler import b\n"),
)


def test_functions_are_not_dense() -> None:
    """Fewer things on a line; where it fails, name an intermediate result in what you wrote."""
    assert median_nodes(modules(PACKAGE)) <= MOST_NODES


def test_hard_decisions_say_why() -> None:
    assert comments_per_100(modules(PACKAGE)) >= FEWEST_COMMENTS


@pytest.mark.parametrize(
    ("name", "read", "said"),
    [
        ("function lines, median / p90 / max", (FUNCTIONS,), "3 / 3 / 3"),
        ("AST nodes per function, median", (FUNCTIONS,), "3"),
        (
            "lines over 100 columns",
            (Module("a.py", f"{'x' * 100}\n\n{'y' * 101}\n"),),
            "50.0 % (1 of 2)",
        ),
        ("public class names in two modules or more", TWICE, "100.0 % (1 of 1)"),
        ("comment lines per 100", (Module("a.py", "# why\nx = 1  # what\n"),), "50.00"),
        (
            "public docstrings that begin Return, Say, Hold, Give, Be",
            (FUNCTIONS,),
            "100.0 % (1 of 1)",
        ),
        ("import circles", CIRCLE, "1"),
        ("import circles", CIRCLE[1:], "0"),
        ("modules over 400 lines", (ALONE, Module("b.py", "x = 1\n" * 401)), "1"),
        ("functions over 60 lines", (Module("a.py", "def f():\n" + "    x = 1\n" * 60),), "1"),
    ],
)
def test_a_measure_counts_what_it_says(name: str, read: tuple[Module, ...], said: str) -> None:
    assert MEASURES[name](read) == said


def test_a_circle_names_its_modules() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_each_checkout_has_a_column() -> None:
    head, rule, *rows = table([ROOT])
    assert (head, rule) == (f"| measured | {ROOT.name} |", "|---|---|")
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == list(MEASURES)
