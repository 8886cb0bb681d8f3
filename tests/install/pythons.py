"""The Pythons of this machine: those on the PATH, and those that pyenv keeps beside it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VERSIONS = ("3.11", "3.12", "3.13")
WHERE = "import sys; print(sys.executable)"


def found(versions: Iterable[str] = VERSIONS) -> dict[str, str]:
    """Return where the interpreter of each version is, for those that are here."""
    asked = {
        version: (_said(one, "-c", WHERE) for one in _candidates(version)) for version in versions
    }
    return {
        version: path for version, paths in asked.items() if (path := next(filter(None, paths), ""))
    }


def _candidates(version: str) -> Iterator[str]:
    yield (  # with pyenv, a shim that fails where the version is installed but not chosen
        f"python{version}"
    )
    prefix = _said("pyenv", "prefix", version)
    if prefix:
        yield str(Path(prefix, "bin", f"python{version}"))


def _said(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return "" if done.returncode else done.stdout.strip()
