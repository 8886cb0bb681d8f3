"""Who may import whom, edge by edge, and which outside modules stay where.

The import contracts in pyproject.toml hold the indirect ones; this table names every direct one, so
that a new part of the package fails here until it has its place.
"""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

import pytest

from reconciler.loop.step_run import PERFORM
from reconciler.steps.plan import STEPS
from tests.rules.tree import PACKAGE, ROOT, Module, for_each, imports, modules

if TYPE_CHECKING:
    from collections.abc import Iterator

VALUES = {"model", "errors"}
PURE = {"steps"} | VALUES
ADAPTER = {"edge", "ports"} | PURE
LOOP = {"effects", "ports", "core"} | PURE
VERBS = {"loop", "render", "edge", "settings"} | LOOP

MAY_IMPORT: dict[str, set[str]] = {
    "": set(),
    "__main__": {"cli"},
    "cli": {"", "app", "schemas", "verbs"} | VERBS,
    "app": {"", "verbs", "config", "store", "drivers", "gateway", "api"} | VERBS,
    "schemas": {"drivers", "edge", "ports", "render"} | PURE,
    "reference": {"cli", "schemas"},
    "api": {"", "verbs", "render", "schemas", "gateway"} | ADAPTER,
    "verbs": {""} | VERBS,
    "loop": LOOP,
    "effects": {"ports"} | PURE,
    "core": PURE,
    "ports": PURE,
    "steps": VALUES,
    "model": {"errors"},
    "errors": set(),
    "settings": {"edge"} | VALUES,
    "edge": VALUES,
    "config": {"core"} | ADAPTER,
    "store": {"core"} | ADAPTER,
    "gateway": ADAPTER,
    "drivers": ADAPTER,
    "drivers.access": {"onhost"} | ADAPTER,
    "drivers.engines": ADAPTER,
    "drivers.gpus": ADAPTER,
    "drivers.launchers": ADAPTER,
    "drivers.power": ADAPTER,
    "render": {"core"} | PURE,
    "fakes": {"ports", "core"} | PURE,
    "onhost": set(),
    "embedded": set(),
}

PARTS = {name for name in MAY_IMPORT if "." not in name}
CLOCKS = {"os", "random", "secrets", "time"}
READS_A_CLOCK = {"now", "today", "utcnow"}
ON_A_HOST = ("drivers/engines/", "drivers/gpus/", "drivers/launchers/")
CATCHES_EVERYTHING = {
    f"{PACKAGE}/{part}.py"
    for part in ("loop/step_run", "loop/unforeseen", "drivers/contained", "cli/main")
}
SPEAKS_HTTP = {f"{PACKAGE}/edge/http.py"}


def part_of(name: str) -> str:
    """The part of the package that a dotted name belongs to, "" for `reconciler` itself."""
    words = name.split(".")[1:]
    return _place(words) if words and _is_module(words[0]) else ""


def _place(words: list[str]) -> str:
    folder = ".".join(words[:2])
    return folder if folder in MAY_IMPORT else words[0]


def _is_module(word: str) -> bool:
    return (
        word in PARTS
        or (ROOT / PACKAGE / word).is_dir()
        or (ROOT / PACKAGE / f"{word}.py").is_file()
    )


def wrong_edges(module: Module) -> Iterator[str]:
    source = _place(module.name.split(".")[1:])
    if source not in MAY_IMPORT:
        yield (
            f"{module.path}: {source} has no place among the layers; give it one here and in"
            " pyproject.toml"
        )
        return
    for name, line in imports(module):
        target = part_of(name)
        if name.split(".")[0] == PACKAGE and target != source and target not in _allowed(source):
            yield f"{module.path}:{line}: {source or PACKAGE} may not import {name}"


def _allowed(source: str) -> set[str]:
    """What a part may import; only the catalog and its wiring may use the drivers' folders."""
    folders = {part for part in MAY_IMPORT if part.startswith("drivers.")}
    return MAY_IMPORT[source] | (folders if source in {"drivers", "app"} else set())


def outside_imports(module: Module, forbidden: set[str]) -> Iterator[str]:
    for name, line in imports(module):
        if name.split(".")[0] in forbidden:
            yield f"{module.path}:{line}: imports {name}"


def beyond_the_standard_library(module: Module) -> Iterator[str]:
    part = part_of(module.name)
    siblings = {path.stem for path in (ROOT / PACKAGE / part).glob("*.py")}
    allowed = (
        sys.stdlib_module_names
        | {PACKAGE}
        | ({"xllamacpp"} | siblings if part == "embedded" else set())
    )
    for name, line in imports(module):
        if name.split(".")[0] not in allowed:
            yield f"{module.path}:{line}: imports {name}; the standard library only"


def clock_reads(module: Module) -> Iterator[str]:
    yield from outside_imports(module, CLOCKS)
    for node in ast.walk(module.tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in READS_A_CLOCK
        ):
            yield f"{module.path}:{node.lineno}: calls {node.func.attr}(); time is a port"


def catch_alls(module: Module) -> Iterator[str]:
    """Each place where an unnamed error ends; cleaning up and raising it again ends nothing."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and not _raises_again(node):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(
                kind is None or ast.unparse(kind) in {"Exception", "BaseException"}
                for kind in caught
            ):
                yield f"{module.path}:{node.lineno}: catches everything; name what may happen"


def _raises_again(node: ast.ExceptHandler) -> bool:
    last = node.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def kinds(folder: str) -> set[str]:
    """Return the step kinds that have a file in a folder."""
    named = {
        module.path.rpartition("/")[2].removesuffix(".py")
        for module in modules(f"{PACKAGE}/{folder}")
    }
    return named - {"__init__", "effect", "plan", "step"}


def ids(module: Module) -> str:
    return module.path


@for_each(modules(PACKAGE))
def test_every_import_points_downwards(module: Module) -> None:
    assert list(wrong_edges(module)) == []


@for_each(modules(f"{PACKAGE}/onhost") + modules(f"{PACKAGE}/embedded"))
def test_what_runs_elsewhere_needs_the_standard_library_only(module: Module) -> None:
    assert list(beyond_the_standard_library(module)) == []


@for_each(modules(f"{PACKAGE}/onhost"))
def test_what_runs_on_a_host_is_python_3_9(module: Module) -> None:
    ast.parse(module.text, filename=module.path, feature_version=(3, 9))


@for_each([m for part in ("core", "model", "steps") for m in modules(f"{PACKAGE}/{part}")])
def test_pure_modules_read_no_clock(module: Module) -> None:
    assert list(clock_reads(module)) == []


@for_each(modules(PACKAGE))
def test_only_what_contains_a_host_and_the_top_of_the_program_catch_everything(
    module: Module,
) -> None:
    assert module.path in CATCHES_EVERYTHING or list(catch_alls(module)) == []


@for_each(modules(PACKAGE))
def test_http_is_spoken_at_one_place(module: Module) -> None:
    assert module.path in SPEAKS_HTTP or list(outside_imports(module, {"httpx", "httpcore"})) == []


@for_each(
    [
        m
        for m in modules(f"{PACKAGE}/drivers")
        if m.path.startswith(tuple(f"{PACKAGE}/{f}" for f in ON_A_HOST))
    ]
)
def test_drivers_reach_hosts_through_access(module: Module) -> None:
    assert list(outside_imports(module, {"asyncio", "os", "socket", "subprocess"})) == []


def test_every_kind_of_step_has_its_file_and_each_that_acts_an_effect() -> None:
    assert kinds("steps") == {*STEPS} != set()
    assert kinds("effects") == {*PERFORM} == {kind for kind, step in STEPS.items() if step.acts}


def test_every_part_of_the_package_has_its_place() -> None:
    folders = {path.name for path in (ROOT / PACKAGE).iterdir() if (path / "__init__.py").is_file()}
    assert folders <= PARTS


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        (
            "core/a.py",
            "from reconciler.ports import Clock",
            "core may not import reconciler.ports.Clock",
        ),
        (
            "core/a.py",
            "if TYPE_CHECKING:\n    from reconciler import ports",
            "core may not import reconciler.ports",
        ),
        (
            "core/a.py",
            "def f():\n    import reconciler.store.journal",
            "core may not import reconciler.store.journal",
        ),
        (
            "loop/a.py",
            "from ..drivers.access import local",
            "loop may not import reconciler.drivers.access.local",
        ),
        (
            "drivers/engines/a.py",
            "import reconciler.onhost.files",
            "drivers.engines may not import reconciler.onhost.files",
        ),
        (
            "drivers/engines/a.py",
            "import reconciler.drivers.power",
            "drivers.engines may not import reconciler.drivers.power",
        ),
        (
            "onhost/a.py",
            "from reconciler import __version__",
            "onhost may not import reconciler.__version__",
        ),
    ],
)
def test_an_import_that_points_up_is_named(path: str, text: str, said: str) -> None:
    (found,) = wrong_edges(Module(f"{PACKAGE}/{path}", text))
    assert said in found


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("drivers/access/a.py", "from reconciler.onhost import serve"),
        ("drivers/__init__.py", "from reconciler.drivers.power import wol"),
        (
            "verbs/a.py",
            "from reconciler import __version__\nfrom reconciler.loop.watcher import watch",
        ),
    ],
)
def test_an_import_that_points_down_is_allowed(path: str, text: str) -> None:
    assert list(wrong_edges(Module(f"{PACKAGE}/{path}", text))) == []


def test_foreign_imports_are_named() -> None:
    assert list(
        beyond_the_standard_library(Module(f"{PACKAGE}/onhost/a.py", "import os, pydantic"))
    )
    assert list(
        outside_imports(Module("a.py", "def f():\n    from os.path import join"), {"os"})
    ) == ["a.py:2: imports os.path.join"]


def test_clock_reads_are_named() -> None:
    assert len(list(clock_reads(Module("a.py", "import time\nstart = datetime.now(UTC)")))) == len(
        ["time", "now"]
    )


@pytest.mark.parametrize(
    "caught", ["", " Exception", " (ValueError, Exception)", " BaseException as problem"]
)
def test_catching_everything_is_named(caught: str) -> None:
    (found,) = catch_alls(Module("a.py", f"try:\n    f()\nexcept{caught}:\n    pass"))
    assert found.startswith("a.py:3")


@pytest.mark.parametrize(
    "clause",
    ["except (OSError, ValueError):\n    pass", "except BaseException:\n    g()\n    raise"],
)
def test_naming_what_may_happen_or_raising_again_is_allowed(clause: str) -> None:
    assert list(catch_alls(Module("a.py", f"try:\n    f()\n{clause}"))) == []


def test_a_part_without_a_place_is_named() -> None:
    (found,) = wrong_edges(Module(f"{PACKAGE}/shiny/a.py", ""))
    assert "shiny has no place" in found
