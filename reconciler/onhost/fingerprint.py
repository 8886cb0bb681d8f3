"""One digest over all that a saved conversation depends on: weights, programs with their libraries, and flags."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
from typing import TYPE_CHECKING, Any

from reconciler.onhost import files
from reconciler.onhost.problem import HostProblem, explain

if TYPE_CHECKING:
    from collections.abc import Iterable

EDGE = 1024 * 1024
SAMPLE = 64 * 1024
SAMPLES = 62
PROGRAM_LIMIT = 64 * 1024 * 1024
REMEMBERED = 256

_known: dict[tuple[Any, ...], str] = {}
_known_lock = threading.Lock()


def fingerprint(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Answer one digest over weights (every shard, sampled), programs (whole) or folders of libraries, and flags.

    And when any of them last changed, which no digest of the files as they are now tells of a
    process that runs already.
    """
    weights = _shards(request["weights"], directory)
    programs = [files.program(name, directory)["path"] for name in request["programs"]]
    content = {
        "weights": [_described(path, sampled=True) for path in weights],
        "programs": [_described(path, sampled=False) for path in programs],
        "flags": list(request["flags"]),
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    dated = [file for path in (*weights, *programs) for file in _files(path)]
    return {
        "digest": "v1:sha256:" + hashlib.sha256(text.encode()).hexdigest(),
        "changed_at": max(map(_changed_at, dated), default=0.0),
    }


def _shards(paths: Iterable[str], directory: str) -> list[str]:
    return [shard for path in paths for shard in files.shards(files.absolute(path, directory))]


def _files(path: str) -> list[str]:
    """Return a file, or the libraries of a folder."""
    return files.libraries(path) if os.path.isdir(path) else [path]


def _changed_at(path: str) -> float:
    """Return when a file, or a link on the way to it, was last written, renamed or replaced (wall clock)."""
    seen = [os.lstat(place) for place in (*_links(path), os.path.realpath(path))]
    return max(max(one.st_mtime, one.st_ctime) for one in seen)


def _links(path: str) -> list[str]:
    """Return every symbolic link on the way to a file that is there, and on the way to what they name."""
    found, waiting = [], [path]
    while waiting:
        place = waiting.pop()
        while place != os.path.dirname(place):
            if os.path.islink(place):
                found.append(place)
                waiting.append(os.path.join(os.path.dirname(place), os.readlink(place)))
            place = os.path.dirname(place)
    return found


def _described(path: str, sampled: bool) -> list[Any]:
    """Return what identifies a file's or folder's content."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            return [
                [os.path.basename(each), os.stat(each).st_size, os.stat(each).st_mtime_ns]
                for each in files.libraries(path)
            ]
        if not stat.S_ISREG(status.st_mode):
            raise HostProblem(f"{path} is not a regular file")
        inode = [status.st_ino] if sampled else []
        return [status.st_size, status.st_mtime_ns, *inode, _remembered(path, status, sampled)]
    except OSError as error:
        raise HostProblem(f"{path} cannot be read: {explain(error)}") from error


def _remembered(path: str, status: os.stat_result, sampled: bool) -> str:
    """Return the digest of a file's content, read again only when the file changed."""
    key = (
        path,
        sampled,
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
    with _known_lock:
        if key in _known:
            return _known[key]
    spans = _samples(status.st_size) if sampled else [(0, PROGRAM_LIMIT)]
    digest = _read(path, spans)
    with _known_lock:
        while len(_known) >= REMEMBERED:
            _known.pop(next(iter(_known)))
        _known[key] = digest
    return digest


def _samples(size: int) -> list[tuple[int, int]]:
    """Return offsets and lengths: the first and the last MiB, and evenly spaced samples between them."""
    step = size / (SAMPLES + 1)
    between = [(int(step * number), SAMPLE) for number in range(1, SAMPLES + 1)]
    return [(0, EDGE), *between, (max(0, size - EDGE), EDGE)]


def _read(path: str, spans: list[tuple[int, int]]) -> str:
    """Return the sha256 over parts of a file."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        for offset, length in spans:
            file.seek(offset)
            left = length
            while left:
                chunk = file.read(min(left, EDGE))
                if not chunk:
                    break
                digest.update(chunk)
                left -= len(chunk)
    return digest.hexdigest()
