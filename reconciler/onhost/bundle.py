"""One text of this program, for an interpreter on another machine that has nothing but Python."""

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
        if name in SOURCES:
            return importlib.util.spec_from_loader(name, self, is_package=name in PACKAGES)
    def exec_module(self, module):
        text = SOURCES[module.__name__]
        exec(compile(text, "<" + module.__name__ + ">", "exec"), module.__dict__)
sys.meta_path.insert(0, Finder())
from reconciler.onhost import serve
serve.main(DIRECTORY, HELLO)
"""


# One text for each directory: the sources are read once, however often a connection is made again.
@lru_cache(maxsize=4)
def source(directory: str) -> str:
    """Make the program that serves the host whose own files live in `directory`."""
    constants = {
        "SOURCES": {"reconciler": "", **_modules()},
        "PACKAGES": ["reconciler", _PACKAGE],
        "DIRECTORY": directory,
        "HELLO": HELLO.decode(),
    }
    return "\n".join((*(_assigned(*one) for one in constants.items()), _LOADER))


def _assigned(name: str, value: object) -> str:
    # Strings, lists and objects of them are written in JSON as they are in Python.
    return f"{name} = {json.dumps(value)}"


def framed(directory: str) -> bytes:
    """Make the program as `BOOTSTRAP` reads it."""
    content = source(directory).encode()
    return b"%d\n" % len(content) + content


def _modules() -> dict[str, str]:
    """Read the source of every module of this package, by its full name."""
    folder = os.path.dirname(__file__)
    names = sorted(name for name in os.listdir(folder) if name.endswith(".py"))
    return {_module(name): _text(os.path.join(folder, name)) for name in names}


def _module(file: str) -> str:
    return _PACKAGE if file == "__init__.py" else f"{_PACKAGE}.{file[:-3]}"


def _text(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()
