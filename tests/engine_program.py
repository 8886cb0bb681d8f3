"""Engine program: a file of the tests that runs as `llama-server`, with nothing beside it."""

from __future__ import annotations

import sys
from pathlib import Path

from tests import unhealthy_engine


def program_in(folder: Path, source: str = unhealthy_engine.__file__) -> Path:
    """Write a program, by default the unhealthy engine, into `folder` and return its path."""
    path = folder / "bin" / "llama-server"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{Path(source).read_text()}")
    path.chmod(0o755)
    return path
