"""A command loads what it needs: each verb pays for itself alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules.tree import modules

CODE = """
import sys
from reconciler.cli.main import main
main(sys.argv[1:])
print("verbs:", *sorted(name for name in sys.modules if name.startswith("reconciler.verbs.")))
"""
STATE = Path(__file__).parents[2] / "state"
NOT_NEEDED = {
    "apply",
    "demo",
    "doctor",
    "explain",
    "history",
    "hold",
    "init",
    "logs",
    "restart",
    "retry",
    "rollback",
    "serve",
    "status",
    "use",
    "watch",
}


def loaded(directory: Path, verb: str) -> set[str]:
    words = [sys.executable, "-c", CODE, verb, "--state", str(STATE), "--data", str(directory)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    (names,) = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("verbs:")]
    return {name.removeprefix("reconciler.verbs.") for name in names}


def test_a_plan_loads_no_other_verb(tmp_path: Path) -> None:
    assert loaded(tmp_path, "plan") & NOT_NEEDED == set()


def test_history_loads_no_other_verb(tmp_path: Path) -> None:
    assert loaded(tmp_path, "history") & (NOT_NEEDED | {"plan"}) == {"history"}


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_what_reads_no_file_loads_no_library(word: str) -> None:
    code = (
        f"import sys\nfrom reconciler.cli.main import main\ntry:\n    main([{word!r}])\nexcept"
        " SystemExit:\n    pass\n"
    )
    told = "print('heavy:', *sorted({'pydantic', 'ruamel', 'anyio', 'httpx'} & {*sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code + told], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1].split() == ["heavy:"]


@pytest.mark.parametrize("folder", ["reconciler/model", "reconciler/steps"])
def test_values_are_annotated_with_objects(folder: str) -> None:
    """Of a deferred annotation pydantic makes its object again: a twentieth of `plan`."""
    values = modules(folder)
    assert len(values) > 14
    assert [module.path for module in values if "import annotations" in module.text] == []
