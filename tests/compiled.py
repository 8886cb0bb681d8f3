"""The project with what each request goes through compiled to C, as docs/gateway.md says."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ASKED = {"HATCH_BUILD_HOOK_ENABLE_CUSTOM": "true"}
SECONDS = 300


class NotCompiled(Exception):
    """What pip and the compiler said."""


def wheel(into: Path, python: Path | str = sys.executable) -> Path:
    """Build a wheel for an interpreter, out of what it has; raise NotCompiled."""
    words = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", into, ROOT)
    done = subprocess.run(
        [python, "-m", "pip", *words], env=os.environ | ASKED, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        raise NotCompiled(done.stdout + done.stderr)
    (found,) = into.glob("*.whl")
    return found


@contextmanager
def package() -> Iterator[Path]:
    """A folder that programs can import the compiled package from; raise NotCompiled."""
    with tempfile.TemporaryDirectory(prefix="reconciler-compiled-") as name:
        with zipfile.ZipFile(wheel(Path(name) / "built")) as packed:
            packed.extractall(name)
        yield Path(name)
