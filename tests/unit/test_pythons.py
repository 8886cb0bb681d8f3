"""Which Pythons `make test-install` finds: also those that pyenv has and its shims do not run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.install.pythons import found

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_python_is_found_by_its_name_and_else_where_pyenv_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept" / "bin" / "python3.12"
    program(tmp_path / "python3.11", "echo /usr/bin/python3.11")
    program(tmp_path / "python3.12", "exit 127")
    program(tmp_path / "pyenv", f'[ "$2" = 3.12 ] && echo {tmp_path}/kept')
    program(kept, f"echo {kept}")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert found(("3.11", "3.12", "3.13")) == {"3.11": "/usr/bin/python3.11", "3.12": str(kept)}


def test_without_pyenv_only_the_path_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert found() == {}
