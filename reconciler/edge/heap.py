"""Heap: what the C library keeps of memory that was freed goes back to the system."""

from __future__ import annotations

import ctypes

_LIBRARY = ctypes.CDLL(None)


def trim() -> None:
    """Give back what is free, where the library can.

    With glibc 2.36 it takes 0.4 ms for a heap of 50 MiB, and 7 ms of computing for each 100 MiB
    that was freed since: 16 to 22 ms once all bodies that may be held were let go of at once.
    """
    malloc_trim = getattr(_LIBRARY, "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
