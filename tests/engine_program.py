"""Engine program: a file of the tests that runs as `llama-server`, with nothing beside it."""

from __future__ import annotations

import sys
from pathlib import Path

from tests import unhealthy_engine
from tests.engine import EMBEDDED_SERVER


def program_in(folder: Path, source: str = unhealthy_engine.__file__) -> Path:
    """Write a program, by default the unhealthy engine, into `folder` and return its path."""
    path = folder / "bin" / "llama-server"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{Path(source).read_text()}")
    path.chmod(0o755)
    return path


def embedded_in(folder: Path) -> Path:
    """Write the embedded engine as a program into `folder` and return its path."""
    program = folder / "llama-server"
    paths = f"sys.path.insert(0, {str(EMBEDDED_SERVER.parent)!r})"
    run = f"runpy.run_path({str(EMBEDDED_SERVER)!r}, run_name='__main__')"
    program.write_text(f"#!{sys.executable}\nimport runpy, sys\n{paths}\n{run}\n")
    program.chmod(0o755)
    return program
