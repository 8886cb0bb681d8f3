"""Where GGUF files lie: a search that is bounded in time, depth and number, and follows no link to a folder."""

from __future__ import annotations

import contextlib
import glob
import os
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.onhost import caches, files, gguf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

SECONDS = 4.0
DEPTH = 6
FOLDERS_LIMIT = 20_000
FILES_LIMIT = 200

HOME_FOLDERS = (
    "models",
    "Models",
    ".cache/llama.cpp",
    ".cache/huggingface/hub",
    ".lmstudio/models",
    ".cache/lm-studio/models",
    "",
)
PLACES = (
    "/models",
    "/srv/models",
    "/srv/llm*",
    "/opt/models",
    "/mnt/models",
    "/data/models",
    "/var/lib/models",
    "/var/lib/*llama*",
    "/var/lib/llm*",
)
DULL = {"node_modules", "site-packages", "__pycache__", "blobs", "lost+found", "proc", "sys"}


class Search(NamedTuple):
    """What a search found, and why it ended before it had looked everywhere, "" when it had."""

    files: list[dict[str, Any]]
    cut: str


def places(home: str, environments: Iterable[Mapping[str, str]], root: str = "/") -> list[str]:
    """Return the folders where models are kept, the likeliest first.

    `environments` may name caches.
    """
    mine = [os.path.join(home, folder) for folder in HOME_FOLDERS]
    shared = [
        place for pattern in PLACES for place in sorted(glob.glob(os.path.join(root, pattern[1:])))
    ]
    cached = [folder for environment in environments for folder in caches.folders(environment)]
    return [*cached, *mine[:-1], *shared, *mine[-1:]]


def search(folders: Iterable[str], named: Iterable[str], seconds: float = SECONDS) -> Search:
    """Return the GGUF files that are named or lie in the folders, with what their headers say while there is time."""
    until = time.monotonic() + seconds
    found: dict[tuple[int, int], str] = {}
    cut = ""
    paths = [caches.named(path) for path in named]
    digests = [
        path for path in paths if caches.is_blob(path)
    ]  # any other name of such a file is a better one
    for path in (
        *(path for path in paths if path not in digests),
        *_walk(folders, until),
        *digests,
    ):
        if not path:
            cut = f"the search for GGUF files ended after {seconds:g} s or {FOLDERS_LIMIT} folders"
        elif len(found) >= FILES_LIMIT:
            cut = f"the search for GGUF files ended after {FILES_LIMIT} files"
            break
        elif files.part(path) <= 1 and (which := identity(path)) is not None:
            found.setdefault(which, path)
    described = [_described(path, until) for path in sorted(found.values())]
    unread = sum(one["architecture"] is None for one in described)
    if unread:
        cut = f"of {unread} GGUF files the header was not read in time"
    return Search([{**one, "architecture": one["architecture"] or ""} for one in described], cut)


def _walk(folders: Iterable[str], until: float) -> Iterator[str]:
    """Yield the GGUF files below folders, shallow ones first, and "" when it has to end before it is done."""
    seen: set[tuple[int, int]] = set()
    waiting = deque((folder, 0) for folder in folders)
    while waiting:
        if time.monotonic() > until or len(seen) >= FOLDERS_LIMIT:
            yield ""
            return
        folder, depth = waiting.popleft()
        which = identity(folder)
        if which is None or which in seen:
            continue
        seen.add(which)
        below, models = _entries(folder)
        yield from models
        waiting.extend((one, depth + 1) for one in below if depth < DEPTH)


def _entries(folder: str) -> tuple[list[str], list[str]]:
    """Return the folders worth looking into and the GGUF files of a folder."""
    below, models = [], []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".gguf") and _so(entry.is_file):
                models.append(entry.path)
            elif (
                not entry.name.startswith(".")
                and entry.name not in DULL
                and _so(partial(entry.is_dir, follow_symlinks=False))
            ):
                below.append(entry.path)
    # What cannot be printed cannot be written into a file of text.
    return sorted(below), sorted(path for path in models if path.isprintable())


def _so(question: Callable[[], bool]) -> bool:
    """Return the answer about one entry of many.

    One that cannot be looked at, such as a link to itself, is not so.
    """
    try:
        return question()
    except OSError:
        return False


def identity(path: str) -> tuple[int, int] | None:
    """Return what tells a file from every other, None when it cannot be seen."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _described(path: str, until: float) -> dict[str, Any]:
    """Return a file with what its header says; a header that there was no time for says nothing."""
    header = gguf.header(path) if time.monotonic() < until else {}
    architecture = str(header.get("architecture", ""))
    return {
        "path": path,
        "size": header.get("size", 0),
        "problem": header.get("problem", ""),
        "architecture": (architecture if architecture.isprintable() else "") if header else None,
        "type": str(header.get("type", "")),
        "ranks": bool(header.get("ranks")),
        **{key: header.get(key, 0) for key in ("context_length", "kv_bytes_per_token")},
    }
