"""How many files `serve` may open, whatever the shell that started it allows."""

from __future__ import annotations

import resource
import subprocess
import sys
from functools import partial

import pytest

from reconciler.edge import open_files
from reconciler.errors import Misused

TELL = (
    "import resource; from reconciler.edge.open_files import raise_limit; raise_limit();"
    " print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
)
NO_END = resource.RLIM_INFINITY


def test_the_soft_limit_of_a_process_is_raised_to_the_hard_one() -> None:
    said = subprocess.run(
        [sys.executable, "-c", TELL],
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_NOFILE, (256, 512)),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert said.stdout == "512 512\n"


@pytest.mark.parametrize(
    ("given", "then"),
    [
        ((1024, 100_000), [(65_536, 100_000)]),
        ((1024, NO_END), [(65_536, NO_END)]),
        ((70_000, 100_000), []),
        ((NO_END, NO_END), []),
    ],
)
def test_it_is_raised_no_further_than_is_needed(
    given: tuple[int, int], then: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: given)
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: made.append(limits))
    open_files.raise_limit()
    assert made == then


def test_too_few_to_serve_are_told_before_anything_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10, 10))
    with pytest.raises(Misused, match="may open 10 files, expected at least 64; raise `ulimit -n`"):
        open_files.raise_limit()
