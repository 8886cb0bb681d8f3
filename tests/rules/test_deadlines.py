"""Every test has a deadline, and a suite that ignores Ctrl-C can still end what it starts."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.rules.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

MOST_SECONDS = 600
FOLLOWING = "tests/cli/test_looking.py::test_a_status_is_told_again_when_it_changes_until_ctrl_c"
IGNORING = ("sh", "-c", 'trap "" INT && exec "$@"', "sh")
ENDLESS = """
import anyio, time

def test_a_wait() -> None:
    time.sleep(600)

async def test_a_coroutine() -> None:
    await anyio.sleep(600)
"""


def suite(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a suite as `make test &` in a script does: with SIGINT ignored."""
    argv = [*IGNORING, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=150)


def deadline(item: pytest.Item, default: float) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else default


def test_every_test_has_a_deadline(request: pytest.FixtureRequest) -> None:
    default = float(request.config.getini("timeout"))
    deadlines = {item.nodeid: deadline(item, default) for item in request.session.items}
    assert [name for name, seconds in deadlines.items() if not 0 < seconds <= MOST_SECONDS] == []


def test_a_wait_that_never_ends_is_ended_and_so_is_a_coroutine(tmp_path: Path) -> None:
    (tmp_path / "test_endless.py").write_text(ENDLESS)
    settings = ("--config-file", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path))
    done = suite("-n", "2", "--timeout", "1", *settings, str(tmp_path))
    assert done.stdout.count("Timeout (>1.0s)") >= 2
    assert "2 failed" in done.stdout


def test_a_suite_that_was_started_with_ctrl_c_ignored_ends() -> None:
    done = suite("--timeout", "60", FOLLOWING)
    assert done.returncode == 0, done.stdout
