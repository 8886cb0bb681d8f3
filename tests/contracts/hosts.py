"""The ways in which this machine is reached as a host."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from reconciler.drivers.access import local, ssh
from reconciler.drivers.access.shared.place import HostPlace
from reconciler.edge.interpreter import Interpreter
from reconciler.edge.loop_scope import LoopScope
from reconciler.onhost import bundle
from tests import sshd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from reconciler.drivers.access.shared.driver import Exchange
    from reconciler.ports import Access

WAYS = ("thread", "piped", "ssh")


def here(directory: Path | str, exchange: Exchange | None = None) -> local.Driver:
    """Be the access to this machine."""
    return local.Driver(local.Options(), HostPlace("local", str(directory), LoopScope()), exchange)


async def nowhere() -> str:
    """Be where nobody can say a host is."""
    return ""


@asynccontextmanager
async def reached(way: str, directory: Path) -> AsyncIterator[Access]:
    """Reach this machine in a worker thread, through a bare interpreter, or over ssh."""
    if way == "thread":
        yield here(directory)
        return
    if way == "ssh":
        with sshd.running() as served:
            async with LoopScope() as loop:
                yield ssh.Driver(
                    ssh.Options(**served.options(directory)), HostPlace("box", "/nowhere", loop)
                )
        return
    argv = [sys.executable, "-I", "-S", "-c", bundle.BOOTSTRAP]
    async with Interpreter(argv, bundle.framed(str(directory)), bundle.HELLO) as interpreter:
        yield here(directory, interpreter.exchange)
