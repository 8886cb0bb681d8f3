"""Saved plans are written whole, and read only when they are plans."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import ConfigError, Unreachable
from reconciler.store import planfile


def test_a_saved_plan_comes_back(tmp_path: Path) -> None:
    document = {"version": 1, "hosts": [{"host": "local"}]}
    planfile.write(str(tmp_path / "plan.json"), document)
    assert planfile.read(str(tmp_path / "plan.json")) == document


def test_a_plan_that_is_saved_again_keeps_the_mode_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    planfile.write(str(file), {"version": 1, "hosts": []})
    file.chmod(0o640)
    planfile.write(str(file), {"version": 1, "hosts": [{"host": "local"}]})
    assert (len(planfile.read(str(file))["hosts"]), file.stat().st_mode & 0o777) == (1, 0o640)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"version": 2, "hosts": []}', b'{"version": 1}', b"\xff\xfe"]
)
def test_what_is_no_plan_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises(ConfigError, match="not a saved plan"):
        planfile.read(str(tmp_path / "plan.json"))


def test_a_huge_file_is_no_plan(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(b" " * (planfile.MOST_BYTES + 1))
    with pytest.raises(ConfigError, match="not a saved plan"):
        planfile.read(str(tmp_path / "plan.json"))


def test_a_missing_plan_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="plan --save"):
        planfile.read(str(tmp_path / "missing.json"))


def test_a_plan_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "plan.json").mkdir()
    with pytest.raises(Unreachable, match="not saved: .*cannot be written: .*name another file"):
        planfile.write(str(tmp_path / "plan.json"), {})
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]
