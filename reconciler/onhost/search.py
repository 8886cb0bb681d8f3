"""Where GGUF files lie: a search bounded in time, depth and number.

It follows no link to a folder.
"""

from __future__ import annotations

import contextlib
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
    """List the folders where models are kept, the likeliest first.

    `environments` may name caches.
    """
    *mine, whole_home = (os.path.join(home, folder) for folder in HOME_FOLDERS)
    cached = [folder for environment in environments for folder in caches.folders(environment)]
    # The whole home last: it takes longest, and holds most that is no model.
    return [*cached, *mine, *files.matching(PLACES, root), whole_home]


def search(folders: Iterable[str], named: Iterable[str], seconds: float = SECONDS) -> Search:
    """Find the GGUF files that are named or lie in the folders.

    Each comes with what its header says, as far as there is time to read it.
    """
    until = time.monotonic() + seconds
    found, cut = _files(_candidates(folders, named, until), seconds)
    described = [_described(path, until) for path in sorted(found)]
    unread = [one for one in described if one["architecture"] is None]
    for one in unread:
        one["architecture"] = ""
    if unread:
        cut = f"of {len(unread)} GGUF files the header was not read in time"
    return Search(described, cut)


def _candidates(folders: Iterable[str], named: Iterable[str], until: float) -> Iterator[str]:
    """Yield paths that may be of one file, the best name of each first, and "" where time ended."""
    paths = [caches.named(path) for path in named]
    yield from (path for path in paths if not caches.is_blob(path))
    yield from _walk(folders, until)
    # Any other name of such a file is a better one.
    yield from (path for path in paths if caches.is_blob(path))


def _files(paths: Iterable[str], seconds: float) -> tuple[list[str], str]:
    """Choose one path for each model, and tell why not all of them could be looked at."""
    found: dict[tuple[int, int], str] = {}
    cut = ""
    for path in paths:
        if not path:
            cut = f"the search for GGUF files ended after {seconds:g} s or {FOLDERS_LIMIT} folders"
        elif len(found) >= FILES_LIMIT:
            cut = f"the search for GGUF files ended after {FILES_LIMIT} files"
            break
        elif files.part(path) <= 1 and (which := identity(path)) is not None:
            found.setdefault(which, path)
    return list(found.values()), cut


def _walk(folders: Iterable[str], until: float) -> Iterator[str]:
    """Yield the GGUF files below folders, shallow ones first, and "" when it has to end early."""
    seen: set[tuple[int, int]] = set()
    waiting = deque((folder, 0) for folder in folders)
    while waiting:
        if time.monotonic() > until or len(seen) >= FOLDERS_LIMIT:
            yield ""
            return
        folder, depth = waiting.popleft()
        if not _is_new(folder, seen):
            continue
        below, models = _entries(folder)
        yield from models
        if depth < DEPTH:
            waiting.extend((one, depth + 1) for one in below)


def _is_new(folder: str, seen: set[tuple[int, int]]) -> bool:
    """Whether a folder is there and was not looked into yet; from now on it was."""
    # Places lie in one another, and mounts may show one folder twice.
    which = identity(folder)
    if which is None or which in seen:
        return False
    seen.add(which)
    return True


def _entries(folder: str) -> tuple[list[str], list[str]]:
    """List the folders worth looking into and the GGUF files of a folder."""
    below, models = [], []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".gguf") and _so(entry.is_file):
                models.append(entry.path)
            elif _is_worth_it(entry):
                below.append(entry.path)
    # What cannot be printed cannot be written into a file of text.
    return sorted(below), sorted(path for path in models if path.isprintable())


def _is_worth_it(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(".") or entry.name in DULL:
        return False
    return _so(partial(entry.is_dir, follow_symlinks=False))


def _so(question: Callable[[], bool]) -> bool:
    """Ask about one entry of many; one that cannot be looked at is not so."""
    try:
        return question()
    except OSError:
        # Such as a link to itself: it must not hide the others.
        return False


def identity(path: str) -> tuple[int, int] | None:
    """Find what tells a file from every other, None when it cannot be seen."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _described(path: str, until: float) -> dict[str, Any]:
    """Describe a file by its header; `architecture` is None where there was no time to read it."""
    header = gguf.header(path) if time.monotonic() < until else {}
    return {
        "path": path,
        "size": header.get("size", 0),
        "problem": header.get("problem", ""),
        "architecture": _printable(header.get("architecture", "")) if header else None,
        "type": str(header.get("type", "")),
        "ranks": bool(header.get("ranks")),
        "context_length": header.get("context_length", 0),
        "kv_bytes_per_token": header.get("kv_bytes_per_token", 0),
    }


def _printable(word: object) -> str:
    text = str(word)
    return text if text.isprintable() else ""
