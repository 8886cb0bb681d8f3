"""Loading: garbage collection is off while the program is imported, and leaves alone what was."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

OBJECTS_PER_COLLECTION = 50_000


@contextmanager
def loading() -> Iterator[None]:
    """Collect no garbage meanwhile, and never look at what was loaded."""
    # One collection of what is loaded took a twentieth of `plan` (docs/benchmarks.md, Python 3.11).
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(OBJECTS_PER_COLLECTION)
        gc.enable()
