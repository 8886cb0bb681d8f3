"""The ways in which this machine is reached as a host."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from reconciler.drivers.access import local
from reconciler.edge.interpreter import Interpreter
from reconciler.onhost import bundle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

WAYS = ("thread", "piped")


@asynccontextmanager
async def reached(way: str, directory: Path) -> AsyncIterator[local.Driver]:
    """Reach this machine in a worker thread, or through an interpreter that has nothing but the bundled program."""
    if way == "thread":
        yield local.Driver(local.Options(), str(directory))
        return
    argv = [sys.executable, "-I", "-S", "-c", bundle.BOOTSTRAP]
    async with Interpreter(argv, bundle.framed(str(directory))) as interpreter:
        yield local.Driver(local.Options(), str(directory), interpreter.exchange)
