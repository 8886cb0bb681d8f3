"""No module needs one that needs it, wherever its imports stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.rules.tree import PACKAGE, Module, imports, modules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def graph(sources: Sequence[Module]) -> dict[str, set[str]]:
    """Return the modules among these that each of them imports itself."""
    names = {module.name for module in sources}
    return {
        module.name: {_module(name, names) for name, _ in imports(module)} - {"", module.name}
        for module in sources
    }


def _module(name: str, names: set[str]) -> str:
    """Return the module that an imported name is, or is in; empty for what is elsewhere."""
    return next((one for one in (name, name.rpartition(".")[0]) if one in names), "")


def circle(needs: Mapping[str, set[str]]) -> list[str]:
    """The modules in a circle of needs, or that need those; none where there is no circle."""
    left = dict(needs)
    while free := [name for name, needed in left.items() if not needed & left.keys()]:
        for name in free:
            del left[name]
    return sorted(left)


def test_no_modules_need_one_another_in_a_circle() -> None:
    needs = graph(modules(PACKAGE))
    assert sum(map(len, needs.values())) > len(needs)
    assert circle(needs) == []


def test_a_circle_is_named_with_what_needs_it_and_nothing_else() -> None:
    texts = {
        "a": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from package.b import B",
        "b": "def f():\n    from package import c",
        "c": "import package.a",
        "d": "from package.e import E\nfrom elsewhere import a",
        "e": "from package import a_word_of_the_package",
        "f": "import package.a",
    }
    assert circle(graph([Module(f"package/{name}.py", text) for name, text in texts.items()])) == [
        f"package.{name}" for name in "abcf"
    ]
