"""Whether a server's weights are the inventory's file: by what it is, not how it is written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from reconciler.onhost import places
from reconciler.onhost.identity import same
from reconciler.onhost.places import Place

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
    (tmp_path / "dangling.gguf").symlink_to("/of/a/container.gguf")
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
        ("{}/other.gguf", "{}/not/there.gguf", False),
        ("{}/other.gguf", "{}/other.gguf/below", False),
        ("{}/other.gguf", "{}/dangling.gguf", None),
        ("{}/other.gguf", "a\0b", None),
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


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        ("/models/other.gguf", "/models/other.gguf", True),
        ("/models/hard.gguf", "/models/snapshots/abc/tiny.gguf", True),
        ("/models/hard.gguf", "{}/blobs/f00d", True),
        ("/models/other.gguf", "/models/large.gguf", False),
        ("/models/other.gguf", "{}/large.gguf", False),
        ("/models/other.gguf", "/models/gone.gguf", False),
        ("/models/other.gguf", "/models/dangling.gguf", None),
        ("/app/other.gguf", "/models/other.gguf", None),
        ("/models/gone.gguf", "/models/other.gguf", None),
        ("/models/snapshots/abc/tiny.gguf", "{}/elsewhere/tiny.gguf", None),
    ],
)
def test_a_path_of_a_container_that_does_not_run_is_found_by_its_mounts(
    monkeypatch: pytest.MonkeyPatch, cache: Path, theirs: str, ours: str, expected: bool | None
) -> None:
    place = Place("glm", [("/models", str(cache))], "")
    monkeypatch.setattr(places, "of", lambda _: place)
    asked = {"theirs": theirs, "ours": ours.format(cache), "pid": 0, "inside": {"kind": "docker"}}
    assert same(asked, "/") == {"same": expected}


def test_what_is_on_no_mount_of_a_container_that_runs_is_seen_through_its_process(
    monkeypatch: pytest.MonkeyPatch, cache: Path, server: int
) -> None:
    monkeypatch.setattr(places, "of", lambda _: Place("glm", [], ""))
    asked = {
        "theirs": f"{cache}/other.gguf",
        "ours": f"{cache}/large.gguf",
        "pid": server,
        "inside": {"kind": "docker"},
    }
    assert same(asked, "/") == {"same": False}


def test_a_service_that_does_not_run_is_told_by_the_paths_of_this_host(cache: Path) -> None:
    asked = {"theirs": f"{cache}/other.gguf", "ours": "large.gguf", "pid": 0, "inside": None}
    assert same(asked, str(cache)) == {"same": False}
    assert same({**asked, "ours": "other.gguf"}, str(cache)) == {"same": True}


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
