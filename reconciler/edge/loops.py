"""Loops: which event loop a command runs in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.edge.lookup import LookupLoop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


def quickest() -> Callable[[], asyncio.AbstractEventLoop]:
    """The loop of uvloop, where that is installed: what is passed on costs less by it."""
    try:
        from reconciler.edge.fast_loop import FastLoop  # noqa: PLC0415 - an extra
    except ImportError:
        return LookupLoop
    return FastLoop
