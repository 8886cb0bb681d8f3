"""Tracebacks are kept for whoever fixes the program: few, small, and for their owner alone."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from reconciler.edge import trace

if TYPE_CHECKING:
    from pathlib import Path


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


def test_a_traceback_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    path = trace.write(tmp_path / "traces", raised(ValueError("one")))
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_text().splitlines()[-1] == "ValueError: one"


def test_the_same_traceback_is_one_file(tmp_path: Path) -> None:
    assert trace.write(tmp_path, raised(ValueError("one"))) == trace.write(
        tmp_path, raised(ValueError("one"))
    )
    assert len(list(tmp_path.iterdir())) == 1


def test_the_latest_tracebacks_are_kept_and_never_more_than_a_few(tmp_path: Path) -> None:
    written = [
        trace.write(tmp_path, raised(ValueError(number))) for number in range(trace.KEPT_FILES + 5)
    ]
    assert set(tmp_path.iterdir()) == set(written[5:])


def test_of_a_long_traceback_the_end_is_kept(tmp_path: Path) -> None:
    path = trace.write(tmp_path, raised(ValueError("x" * 2 * trace.LARGEST + "the end")))
    assert path is not None
    assert path.stat().st_size == trace.LARGEST
    assert path.read_text().endswith("the end\n")


def test_where_nothing_can_be_written_there_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("a file")
    assert trace.write(tmp_path / "traces", raised(ValueError("one"))) is None
