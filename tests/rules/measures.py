"""The measures of the house: `python -m tests.rules.measures [ROOT]...` prints a table.

The table has a column for each checkout. Only `reconciler/` is read. A function is every `def`,
methods and nested ones too. Its lines run from `def` to its end; its nodes are what `ast.walk`
yields of its body without the docstring. Blank lines count nowhere but in lengths.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from tests.rules.tree import PACKAGE, ROOT, Module, imports, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Modules = tuple[Module, ...]
Function = ast.FunctionDef | ast.AsyncFunctionDef
LONG_LINE, LONG_MODULE, LONG_FUNCTION = 100, 400, 60
REPEATS_THE_SIGNATURE = re.compile(r"(?:Return|Say|Hold|Give|Be)s?\b")


def functions(modules: Modules) -> Iterator[Function]:
    for module in modules:
        yield from (node for node in ast.walk(module.tree) if isinstance(node, Function))


def lines_of(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def nodes_of(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return sum(1 for statement in body for _ in ast.walk(statement))


def function_lines(modules: Modules) -> str:
    counted = [lines_of(function) for function in functions(modules)]
    return f"{median(counted):.0f} / {quantiles(counted, n=10)[-1]:.0f} / {max(counted)}"


def median_nodes(modules: Modules) -> float:
    return median(nodes_of(function) for function in functions(modules))


def function_nodes(modules: Modules) -> str:
    return f"{median_nodes(modules):.0f}"


def long_lines(modules: Modules) -> str:
    lines = list(written_lines(modules))
    return _share(sum(len(line) > LONG_LINE for line in lines), len(lines))


def written_lines(modules: Modules) -> Iterator[str]:
    yield from (line for module in modules for line in module.text.splitlines() if line.strip())


def public_classes(module: Module) -> Iterator[ast.ClassDef]:
    yield from (
        node
        for node in module.tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )


def repeated_names(modules: Modules) -> str:
    places = Counter(node.name for module in modules for node in public_classes(module))
    return _share(sum(count > 1 for count in places.values()), len(places))


def comments_per_100(modules: Modules) -> float:
    found = sum(1 for module in modules for _ in comments(module))
    return 100 * found / len(list(written_lines(modules)))


def comment_lines(modules: Modules) -> str:
    return f"{comments_per_100(modules):.2f}"


def comments(module: Module) -> Iterator[str]:
    """Yield each comment that has its line to itself."""
    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type == tokenize.COMMENT and token.line.strip() == token.string:
            yield token.string


def docstrings(modules: Modules) -> Iterator[str]:
    """Yield the docstring of each public class and function."""
    for module in modules:
        for node in ast.walk(module.tree):
            if (
                isinstance(node, Function | ast.ClassDef)
                and not node.name.startswith("_")
                and (said := ast.get_docstring(node))
            ):
                yield said


def bare_docstrings(modules: Modules) -> str:
    said = list(docstrings(modules))
    return _share(sum(bool(REPEATS_THE_SIGNATURE.match(one)) for one in said), len(said))


def import_circles(modules: Modules) -> str:
    return str(len(circles({module.name: set(imported(module, modules)) for module in modules})))


def imported(module: Module, modules: Modules) -> Iterator[str]:
    """Yield the modules of the package that one names, under TYPE_CHECKING too."""
    known = {one.name for one in modules}
    for name, _ in imports(module):
        yield from [
            place
            for place in (name, name.rpartition(".")[0])
            if place in known and place != module.name
        ][:1]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules each of which reaches all the others of its group."""
    reached = {name: _reach(graph, name) for name in graph}
    groups = {
        tuple(sorted(other for other in reached[name] if name in reached[other])) for name in graph
    }
    return [list(group) for group in sorted(groups) if group]


def _reach(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        fresh = graph.get(waiting.pop(), set()) - found
        found |= fresh
        waiting += fresh
    return found


def long_modules(modules: Modules) -> str:
    return str(sum(len(module.text.splitlines()) > LONG_MODULE for module in modules))


def long_functions(modules: Modules) -> str:
    return str(sum(lines_of(function) > LONG_FUNCTION for function in functions(modules)))


def _share(some: int, of: int) -> str:
    return f"{100 * some / of:.1f} % ({some} of {of})"


MEASURES: dict[str, Callable[[Modules], str]] = {
    "function lines, median / p90 / max": function_lines,
    "AST nodes per function, median": function_nodes,
    f"lines over {LONG_LINE} columns": long_lines,
    "public class names in two modules or more": repeated_names,
    "comment lines per 100": comment_lines,
    "public docstrings that begin Return, Say, Hold, Give, Be": bare_docstrings,
    "import circles": import_circles,
    f"modules over {LONG_MODULE} lines": long_modules,
    f"functions over {LONG_FUNCTION} lines": long_functions,
}


def table(roots: Iterable[Path]) -> Iterator[str]:
    columns = {root: read(root, PACKAGE) for root in roots}
    yield "| measured | " + " | ".join(root.resolve().name for root in columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for name, measure in MEASURES.items():
        yield f"| {name} | " + " | ".join(measure(modules) for modules in columns.values()) + " |"


if __name__ == "__main__":
    sys.stdout.write("\n".join(table([Path(root) for root in sys.argv[1:]] or [ROOT])) + "\n")
