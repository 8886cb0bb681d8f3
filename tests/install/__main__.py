"""Install what README.md says, and use it; ends with 1 on a failure, or without any Python."""

from __future__ import annotations

import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias

from tests import compiled
from tests.install import pythons
from tests.install.environment import Environment, Failed, new, run
from tests.rules.tree import PACKAGE, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Check: TypeAlias = tuple[str, Callable[[], None]]

SIDE_BY_SIDE = 2
OLD_PIPS = {"3.11": ("23.0", "23.2"), "3.12": ("23.2",)}
"""Debian 12 has the first, Python 3.12.0 came with the second; newer Pythons have no more what
these are built on."""

USE, WORKSHOP = "requirements.lock", "requirements-dev.lock"
TOOLS = ("pytest", "pytest-timeout", "pytest-xdist", "hypothesis", "gguf", "packaging")
GATEWAY = (
    *sorted((ROOT / "tests" / "unit").glob("test_gateway*.py")),
    ROOT / "tests" / "fuzz",
    ROOT / "tests" / "integration" / "test_serve.py",
    ROOT / "tests" / "integration" / "test_gateway_bad_days.py",
)
OF_PYTHON = {"test_gateway_cost.py"}
"""What tells of Python's own objects."""

IS_COMPILED = "from reconciler.gateway import exchange; assert exchange.__file__.endswith('.so')"
OUTDATED = "ignore::pytest.PytestRemovedIn10Warning"
"""What the locked pytest has to say of the plugin in the oldest anyio."""


def both_locks(python: str, pip: str) -> None:
    """Install what is for use and then, as the Makefile does, what is for development."""
    with new(python) as environment:
        environment.pip(f"pip=={pip}")
        environment.lock(USE)
        environment.lock(WORKSHOP)


def wheel_and_both_locks(python: str, wheel: Path) -> None:
    """Do so with the newest pip; a wheel beside nothing but the lock's packages runs the demo."""
    with new(python) as environment:
        environment.pip("--upgrade", "pip")
        environment.lock(USE)
        environment.pip("--no-deps", wheel)
        environment.demo()
        environment.lock(WORKSHOP)


def compiled_wheel(python: str) -> None:
    """Compile a wheel, and run its demo."""
    with compiled_environment(python) as environment:
        environment.demo()


def compiled_gateway(python: str) -> None:
    """Run the tests of the gateway where there is no other package than a compiled one."""
    with compiled_environment(python) as environment:
        folder = environment.folder / "tree"
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", PACKAGE))
        files = [one.relative_to(ROOT) for one in GATEWAY if one.name not in OF_PYTHON]
        words = ("-q", "-n", str(SIDE_BY_SIDE), "-p", "no:cacheprovider")
        run(environment.python, "-m", "pytest", *words, *files, folder=folder)


@contextmanager
def compiled_environment(python: str) -> Iterator[Environment]:
    """Make one for development with a compiled wheel."""
    with new(python) as environment:
        environment.lock(WORKSHOP)
        wheel = compiled.wheel(environment.folder / "built", environment.python)
        environment.pip("--no-deps", wheel)
        run(environment.python, "-c", IS_COMPILED, folder=environment.folder)
        yield environment


def oldest_versions(python: str, wheel: Path) -> None:
    """Take the lowest version of everything in pyproject.toml, beside the locked tools."""
    with new(python) as environment:
        oldest = environment.folder / "oldest.txt"
        uv(
            "compile",
            "--resolution",
            "lowest-direct",
            "--extra",
            "embedded",
            "--extra",
            "serve",
            "--extra",
            "fast",
            "--output-file",
            oldest,
            "pyproject.toml",
            of=environment.python,
        )
        uv("install", "-r", oldest, *locked(TOOLS), of=environment.python)
        environment.pip("--no-deps", wheel)
        environment.demo()
        words = ("-q", "-n", str(SIDE_BY_SIDE), "-p", "no:cacheprovider", "-W", OUTDATED)
        run(environment.python, "-m", "pytest", *words, "tests/unit")


def uv(verb: str, *words: str | Path, of: Path) -> None:
    """Let our uv do something for another environment."""
    run(Path(sys.executable).with_name("uv"), "pip", verb, "--quiet", "--python", of, *words)


def locked(names: tuple[str, ...]) -> list[str]:
    """Return these distributions in the versions of the lock."""
    pins = (
        line.split(" ", 1)[0] for line in (ROOT / WORKSHOP).read_text().splitlines() if "==" in line
    )
    return [pin for pin in pins if pin.partition("==")[0] in names]


def checks(here: dict[str, str], wheel: Path) -> Iterator[Check]:
    """Yield what is checked, each with its name; what takes longest comes first."""
    first = next(iter(here))
    yield (
        f"the oldest versions that pyproject.toml allows: demo, tests/unit ({first})",
        partial(oldest_versions, here[first], wheel),
    )
    yield f"the tests of the gateway, compiled ({first})", partial(compiled_gateway, here[first])
    for version, python in here.items():
        yield f"a compiled wheel: demo ({version})", partial(compiled_wheel, python)
        yield (
            f"a wheel and both locks: demo ({version}, newest pip)",
            partial(wheel_and_both_locks, python, wheel),
        )
        for pip in OLD_PIPS.get(version, ()):
            yield f"both locks ({version}, pip {pip})", partial(both_locks, python, pip)


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201 - it is a program for people


def holds(name: str, check: Callable[[], None]) -> bool:
    """Run one check, say how it went, and return whether it went well."""
    began = time.monotonic()
    try:
        check()
    except (Failed, compiled.NotCompiled) as failed:
        say(f"FAILED {name}: {failed}")
        return False
    say(f"ok     {name}, {time.monotonic() - began:.0f} s")
    return True


def main() -> int:
    """Check everything that can be checked with the Pythons that are here."""
    here = pythons.found()
    for version in pythons.VERSIONS:
        say(f"Python {version}: {here.get(version, 'not here, so nothing is tried on it')}")
    if not here:
        return 1
    with (
        TemporaryDirectory(prefix="reconciler-wheel-") as folder,
        ThreadPoolExecutor(SIDE_BY_SIDE) as pool,
    ):
        run(
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--wheel-dir",
            folder,
            ROOT,
        )
        (wheel,) = Path(folder).glob("*.whl")
        return 0 if all([*pool.map(lambda one: holds(*one), checks(here, wheel))]) else 1


if __name__ == "__main__":
    sys.exit(main())
