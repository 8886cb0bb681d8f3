"""What was freed goes back to the system, where the C library can give it back."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.edge import heap

if TYPE_CHECKING:
    import pytest

PIECE, PIECES, KEPT = 100_000, 400, 20


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_what_was_freed_between_what_is_kept_goes_back() -> None:
    pieces = [bytearray(PIECE) for _ in range(PIECES)]
    kept = pieces[::KEPT]
    del pieces
    before = _resident()
    heap.trim()
    assert before - _resident() > PIECE * PIECES / 2
    assert len(kept) == PIECES / KEPT


def test_a_library_that_cannot_is_asked_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_LIBRARY", object())
    heap.trim()
