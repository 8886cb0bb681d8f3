"""Only the command line and what composes it own a loop or end the process; verbs run in one."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.rules.tree import PACKAGE, Module, for_each, imports, modules

if TYPE_CHECKING:
    from collections.abc import Iterator

OWNERS = tuple(
    f"{PACKAGE}/{place}" for place in ("cli/", "app.py", "__main__.py", "fakes/clock.py")
)
"""A clock that is turned has a loop in which waits take no time."""
PROGRAMS = tuple(f"{PACKAGE}/{place}" for place in ("onhost/", "embedded/"))
"""What is a process of its own, and no part of this one."""

OWN = {"anyio.run", "asyncio.run", "os._exit", "sys.exit"}
DECIDES = tuple(
    f"{PACKAGE}/{part}/" for part in ("core", "steps", "effects", "loop", "verbs", "render")
)


def owned_elsewhere(module: Module) -> Iterator[str]:
    """Each place that runs a loop or ends the process, and each edgeless part with signals."""
    if module.path.startswith((*OWNERS, *PROGRAMS)):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in OWN:
            yield (
                f"{module.path}:{node.lineno}: calls {ast.unparse(node.func)}; the command line"
                " does"
            )
    if module.path.startswith(DECIDES):
        yield from (
            f"{module.path}:{line}: imports {name}"
            for name, line in imports(module)
            if name.split(".")[0] == "signal"
        )


@for_each(modules(PACKAGE))
def test_only_the_command_line_owns_a_loop_and_the_process(module: Module) -> None:
    assert list(owned_elsewhere(module)) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("verbs/a.py", "anyio.run(main)"),
        ("drivers/power/a.py", "asyncio.run(main())"),
        ("loop/a.py", "def f():\n    os._exit(1)"),
        ("verbs/a.py", "import signal"),
        ("loop/a.py", "from signal import SIGTERM"),
    ],
)
def test_a_second_owner_is_named(path: str, text: str) -> None:
    (found,) = owned_elsewhere(Module(f"{PACKAGE}/{path}", text))
    assert found.startswith(f"{PACKAGE}/{path}:")


@pytest.mark.parametrize(
    ("path", "text"), [("cli/a.py", "import signal\nos._exit(1)"), ("onhost/a.py", "sys.exit(1)")]
)
def test_the_command_line_and_programs_of_their_own_may(path: str, text: str) -> None:
    assert list(owned_elsewhere(Module(f"{PACKAGE}/{path}", text))) == []
