"""Make one text of this program, for an interpreter on another machine that has nothing but Python."""

from __future__ import annotations

import json
import os
from functools import lru_cache

BOOTSTRAP = (
    'import sys; read = sys.stdin.buffer; sys.exit("python3 there is %d.%d (%s)" %'
    " (*sys.version_info[:2], sys.executable)) if sys.version_info < (3, 9) else"
    " exec(read.read(int(read.readline())))"
)
"""What `python3 -I -c` is given: on stdin follow the program's length, a newline, the program, and
the requests.

Every Python 3 that can be met (3.6 and later) can read it: one that is too old for the program says
so instead."""

HELLO = b"reconciler serves this host"
"""The line that the program writes before all answers: a login shell may have greeted first."""

_PACKAGE = "reconciler.onhost"
_LOADER = """
import importlib.abc, importlib.util, sys
class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self, is_package=name in PACKAGES) if name in SOURCES else None
    def exec_module(self, module):
        exec(compile(SOURCES[module.__name__], "<" + module.__name__ + ">", "exec"), module.__dict__)
sys.meta_path.insert(0, Finder())
from reconciler.onhost import serve
serve.main(DIRECTORY, HELLO)
"""


@lru_cache(maxsize=4)
def source(directory: str) -> str:
    """Return the program that serves the host whose own files live in `directory`."""
    sources = {"reconciler": "", **_modules()}
    constants = (
        f"SOURCES = {_literal(sources)}",
        f"PACKAGES = {_literal(['reconciler', _PACKAGE])}",
    )
    settings = (f"DIRECTORY = {_literal(directory)}", f"HELLO = {_literal(HELLO.decode())}")
    return "\n".join((*constants, *settings, _LOADER))


def framed(directory: str) -> bytes:
    """Return the program as `BOOTSTRAP` reads it."""
    content = source(directory).encode()
    return b"%d\n" % len(content) + content


def _modules() -> dict[str, str]:
    """Return the source of every module of this package, by its full name."""
    folder = os.path.dirname(__file__)
    modules = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                module = _PACKAGE if name == "__init__.py" else f"{_PACKAGE}.{name[:-3]}"
                modules[module] = file.read()
    return modules


def _literal(value: object) -> str:
    """Return a value as a Python literal: strings, lists and objects of them are the same in JSON."""
    return json.dumps(value)
