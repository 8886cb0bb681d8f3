"""Whether a server's weights are the inventory's file: by what it is, not how it is written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from reconciler.onhost.identity import same

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Lay weights out as the Hub's cache does, with others of that size, and a copy elsewhere."""
    for name in ("blobs", "snapshots/abc", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "blobs" / "f00d").write_bytes(b"weights")
    (tmp_path / "snapshots" / "abc" / "tiny.gguf").symlink_to("../../blobs/f00d")
    (tmp_path / "other.gguf").write_bytes(b"others!")
    (tmp_path / "large.gguf").write_bytes(b"of another size")
    os.link(tmp_path / "blobs" / "f00d", tmp_path / "hard.gguf")
    shutil.copy(tmp_path / "snapshots" / "abc" / "tiny.gguf", tmp_path / "elsewhere" / "tiny.gguf")
    return tmp_path


@pytest.fixture
def server(cache: Path) -> Iterator[int]:
    """Run a process whose folder is the cache."""
    words = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, cwd=cache) as process:
        assert process.stdin is not None
        yield process.pid
        process.stdin.close()


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        ("{}/blobs/f00d", "{}/snapshots/abc/tiny.gguf", True),
        ("snapshots/abc/tiny.gguf", "{}/blobs/f00d", True),
        ("./hard.gguf", "snapshots/abc/tiny.gguf", True),
        ("{}/other.gguf", "{}/snapshots/abc/tiny.gguf", False),
        ("large.gguf", "{}/other.gguf", False),
        ("{}/elsewhere/tiny.gguf", "{}/snapshots/abc/tiny.gguf", None),
        ("/models/of/a/container.gguf", "{}/other.gguf", None),
        ("{}/other.gguf", "{}/not/there.gguf", None),
        ("a\0b", "{}/other.gguf", None),
    ],
)
def test_a_file_is_known_by_what_it_is(
    cache: Path, server: int, theirs: str, ours: str, expected: bool | None
) -> None:
    asked = {"pid": server, "theirs": theirs.format(cache), "ours": ours.format(cache)}
    assert same(asked, str(cache)) == {"same": expected}


def test_a_process_that_is_gone_is_told_by_the_path_of_this_host(cache: Path) -> None:
    asked = {"pid": 2**22 - 1, "theirs": f"{cache}/other.gguf", "ours": f"{cache}/large.gguf"}
    assert same(asked, str(cache)) == {"same": False}
    assert same({**asked, "theirs": "other.gguf"}, str(cache)) == {"same": None}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a process another root")
def test_a_path_of_a_process_with_another_root_means_nothing_here(cache: Path) -> None:
    words = f"import os, sys; os.chroot({str(cache)!r}); print('in', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as inside:
        assert inside.stdin is not None
        assert inside.stdout is not None
        assert inside.stdout.readline() == b"in\n"
        asked = {
            "pid": inside.pid,
            "theirs": "/snapshots/abc/tiny.gguf",
            "ours": f"{cache}/blobs/f00d",
        }
        assert same(asked, str(cache)) == {"same": True}
        assert same({**asked, "theirs": f"{cache}/other.gguf"}, str(cache)) == {"same": None}
        inside.stdin.close()
