"""The benchmark of the loop's lateness notes in the loop that `serve` runs in."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from reconciler.edge import fast_loop
from reconciler.edge.loops import quickest
from tests.bench import lagging


def test_the_loop_of_serve_is_the_one_that_notes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "lags"
    # What is put in its place here is taken back afterwards.
    monkeypatch.setattr(lagging.NotedLoop, "file", notes)
    monkeypatch.setattr(fast_loop, "FastLoop", fast_loop.FastLoop)
    lagging.install(notes)
    since = lagging.now()
    anyio.run(anyio.lowlevel.checkpoint, backend_options={"loop_factory": quickest()})
    assert lagging.noted(notes, since, lagging.now())
