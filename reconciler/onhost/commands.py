"""Programs that are run to their end: without input, bounded in time, and read as text."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Late(Exception):
    """A program did not end in its time, and was killed."""


class Ended(NamedTuple):
    """How a program ended: its exit code, negative for a signal, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """What it wrote on one line, or how it ended where it wrote nothing."""
        return " ".join((self.out + self.err).split()) or f"it ended with {self.code}"


def run(argv: list[str], seconds: float, env: Mapping[str, str] | None = None) -> Ended:
    """Run a program, with `env` added to our environment.

    Raise Late when it does not end in time, and OSError when it cannot be run.
    """
    try:
        done = subprocess.run(  # noqa: S603 - lists of words, never a shell
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
            env={**os.environ, **(env or {})},
        )
    except subprocess.TimeoutExpired:
        raise Late from None
    return Ended(done.returncode, _text(done.stdout), _text(done.stderr))


def properties(names: Iterable[str]) -> list[str]:
    """Write the words by which systemd's programs print only these properties."""
    return [f"--property={name}" for name in names]


def runtime_directory() -> str:
    """Find where the user's systemd is asked: not every way to log in sets it."""
    return os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")


def pairs(text: str) -> dict[str, str]:
    """Read the lines of a text that are NAME=value, as systemd's programs print them."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
