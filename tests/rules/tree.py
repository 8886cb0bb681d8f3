"""The project's own source, parsed once, for the rules that read it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "reconciler"
LEFT_OUT = {".git", "__pycache__", "build", "dist"}


@dataclass(frozen=True)
class Module:
    """One source file: its path from the root, and what it says."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=self.path)

    def __str__(self) -> str:
        return self.path

    @property
    def name(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def for_each(
    values: Iterable[T] | Callable[[], Iterable[T]],
) -> Callable[[Callable[[T], None]], Callable[[], None]]:
    """Hold a rule over each of these in one test, which tells of all that break it.

    What takes long to find is given as a function: every worker imports this, and one runs it.
    """

    # As a case each they would be six thousand, which cost more than what they check.
    def held(rule: Callable[[T], None]) -> Callable[[], None]:
        def test() -> None:
            rest, broken = [*(values() if callable(values) else values)], list[str]()
            assert rest, "a rule over nothing is no rule"
            for value in rest:
                try:
                    rule(value)
                except AssertionError as error:
                    broken.append(f"{value}: {error}")
            assert broken == [], "\n".join(broken)

        test.__name__, test.__doc__ = rule.__name__, rule.__doc__
        return test

    return held


@cache
def modules(folder: str = "") -> tuple[Module, ...]:
    """The modules under a folder of the root, by default those of package and tests."""
    if not folder:
        return modules(PACKAGE) + modules("tests")
    return read(ROOT, folder)


def read(root: Path, folder: str) -> tuple[Module, ...]:
    """Return the modules under a folder of any checkout."""
    paths = sorted((root / folder).rglob("*.py"))
    return tuple(
        Module(str(path.relative_to(root)), path.read_text(encoding="utf-8")) for path in paths
    )


@cache
def texts() -> dict[str, str]:
    """Every text file of the project by its path; hidden folders but .ci are no part of it."""
    found = {}
    for path in _files(ROOT):
        content = path.read_bytes()
        if b"\0" not in content:
            found[str(path.relative_to(ROOT))] = content.decode("utf-8", errors="replace")
    return found


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or path.name in LEFT_OUT:
            continue
        if path.is_file() and not path.name.startswith(".coverage"):
            yield path
        elif path.is_dir() and (not path.name.startswith(".") or path.name == ".ci"):
            yield from _files(path)


def imports(module: Module) -> Iterator[tuple[str, int]]:
    """Every module that a module imports, anywhere and under TYPE_CHECKING too, with its line."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = _start(module, node)
            yield from ((f"{start}.{alias.name}", node.lineno) for alias in node.names)


def _start(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = (
        module.name.split(".")
        if module.path.endswith("__init__.py")
        else module.name.split(".")[:-1]
    )
    return ".".join(
        [*package[: len(package) - node.level + 1], *([node.module] if node.module else [])]
    )
