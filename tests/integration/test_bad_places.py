"""Places that cannot be written, and a machine without git: what is said, and what goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import Stack, ending

NOWHERE = "/proc/sys/reconciler"
"""Nobody can write here, not even root."""


class Installed(Stack):
    """A stack whose command is the one that an installation puts on the path."""

    def argv(self, *words: str, directory: str = "data") -> list[str]:
        command = str(Path(sys.executable).with_name("reconciler"))
        return [command, *super().argv(*words, directory=directory)[3:]]


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Stack]:
    made = Installed(tmp_path)
    with ending(made):
        yield made


@pytest.mark.parametrize(
    ("directory", "sentence"),
    [
        (
            NOWHERE,
            (
                f"{NOWHERE}/lock cannot be opened: No such file or directory; free space or fix the"
                " permissions, or choose"
            ),
        ),
        ("state/desired.yaml", "desired.yaml is not a directory; choose another place with --data"),
    ],
)
def test_a_journal_that_cannot_be_written_stops_apply_but_no_look(
    installed: Stack, directory: str, sentence: str
) -> None:
    for verb in ("plan", "status", "history", "validate"):
        assert installed.run(verb, directory=directory).returncode == 0
    refused = installed.run("apply", "--yes", directory=directory)
    assert refused.returncode == 1
    assert sentence in refused.stderr
    assert installed.engines() == {}
    installed.apply()
    assert list(installed.engines()) == ["tiny-a"]


def test_a_host_directory_that_cannot_be_written_is_named_before_anything_starts(
    installed: Stack,
) -> None:
    refused = installed.run("apply", "--yes", XDG_STATE_HOME=NOWHERE)
    assert refused.returncode == 4
    assert f"the host could not be claimed: write-claim failed: {NOWHERE}" in refused.stdout
    assert installed.engines() == {}
    installed.apply()
    assert list(installed.engines()) == ["tiny-a"]


def test_without_git_a_switch_is_the_same(installed: Stack) -> None:
    subprocess.run(["git", "init", "--quiet", str(installed.folder)], check=True)  # noqa: S607 - the git of whoever runs the tests
    assert "(untracked)" in installed.run("plan").stdout
    without = installed.run("plan", PATH="/nowhere").stdout
    assert "(git does not answer)" in without
    assert (
        "note: git is not installed here, or not on the PATH of this process; install it" in without
    )
    applied = installed.run("apply", "--yes", PATH="/nowhere")
    assert applied.returncode == 0, applied.stderr
    assert list(installed.engines()) == ["tiny-a"]
