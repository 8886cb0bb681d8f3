"""One digest over all that a saved conversation depends on.

That is weights, programs with their libraries, and flags.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler.onhost import files
from reconciler.onhost.problem import HostProblem, explained
from reconciler.onhost.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import FileIO

EDGE = 1024 * 1024
SAMPLE = 64 * 1024
SAMPLES = 62
PROGRAM_LIMIT = 64 * 1024 * 1024
REMEMBERED = 256

_known = Remembered[str](REMEMBERED)


def fingerprint(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Answer the digest over what a request names, and when any of its files last changed.

    Weights are sampled, with every shard; programs are read whole, folders of libraries listed.
    """
    weights = _shards(request["weights"], directory)
    programs = [files.program(name, directory)["path"] for name in request["programs"]]
    content = {
        "weights": [_described(path, sampled=True) for path in weights],
        "programs": [_described(path, sampled=False) for path in programs],
        "flags": list(request["flags"]),
    }
    # A process that runs already may have read the files before: their digest now tells nothing of
    # it, the time of the change does.
    changed_at = _newest([*weights, *programs])
    return {
        "digest": _digest(content),
        "changed_at": changed_at,
        "image": request.get("image", ""),
    }


def _shards(paths: Iterable[str], directory: str) -> list[str]:
    return [shard for path in paths for shard in files.shards(files.absolute(path, directory))]


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return "v1:sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _newest(paths: list[str]) -> float:
    dated = [file for path in paths for file in _files(path)]
    return max(map(_changed_at, dated), default=0.0)


def _files(path: str) -> list[str]:
    """List a file alone, or the libraries of a folder."""
    return files.libraries(path) if os.path.isdir(path) else [path]


def _changed_at(path: str) -> float:
    """Find when a file or a link on the way to it was last written or replaced (wall clock)."""
    return max(map(_written_at, (*_links(path), os.path.realpath(path))))


def _written_at(path: str) -> float:
    # A file that was moved into place keeps its mtime; its ctime is that of the move.
    status = os.lstat(path)
    return max(status.st_mtime, status.st_ctime)


def _links(path: str) -> list[str]:
    """List the symbolic links on the way to a file that is there, with those that they lead to."""
    found, waiting = [], [path]
    while waiting:
        links = [place for place in _places(waiting.pop()) if os.path.islink(place)]
        found += links
        waiting += [_target(link) for link in links]
    return found


def _places(path: str) -> Iterator[str]:
    """Yield a path and the folders above it."""
    while path != os.path.dirname(path):
        yield path
        path = os.path.dirname(path)


def _target(link: str) -> str:
    return os.path.join(os.path.dirname(link), os.readlink(link))


def _described(path: str, sampled: bool) -> list[Any]:
    """List what identifies the content of a file or a folder."""
    with explained(f"{path} cannot be read"):
        status = os.stat(path)
        is_folder = stat.S_ISDIR(status.st_mode)
        return _listed(path) if is_folder else _digested(path, status, sampled)


def _listed(folder: str) -> list[Any]:
    return [_dated(library) for library in files.libraries(folder)]


def _digested(path: str, status: os.stat_result, sampled: bool) -> list[Any]:
    if not stat.S_ISREG(status.st_mode):
        raise HostProblem(f"{path} is not a regular file")
    # A copy that kept its time could differ where no sample is taken; it has another inode.
    inode = [status.st_ino] if sampled else []
    return [status.st_size, status.st_mtime_ns, *inode, _remembered(path, status, sampled)]


def _dated(library: str) -> list[Any]:
    status = os.stat(library)
    return [os.path.basename(library), status.st_size, status.st_mtime_ns]


def _remembered(path: str, status: os.stat_result, sampled: bool) -> str:
    """Digest a file's content, which is read again only when the file changed."""
    find = partial(_read, path, _spans(status.st_size, sampled))
    return _known.get((path, sampled, *_stamp(status)), find)


def _spans(size: int, sampled: bool) -> list[tuple[int, int]]:
    return _samples(size) if sampled else [(0, PROGRAM_LIMIT)]


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    times = status.st_mtime_ns, status.st_ctime_ns
    return (status.st_dev, status.st_ino, status.st_size, *times)


def _samples(size: int) -> list[tuple[int, int]]:
    """List offsets and lengths: the first and the last MiB, and evenly spaced ones between them."""
    step = size / (SAMPLES + 1)
    between = [(int(step * number), SAMPLE) for number in range(1, SAMPLES + 1)]
    return [(0, EDGE), *between, (max(0, size - EDGE), EDGE)]


def _read(path: str, spans: list[tuple[int, int]]) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        for offset, length in spans:
            file.seek(offset)
            for chunk in _chunks(file, length):
                digest.update(chunk)
    return digest.hexdigest()


def _chunks(file: FileIO, length: int) -> Iterator[bytes]:
    """Yield so many bytes, or those up to the end of the file."""
    while length and (chunk := file.read(min(length, EDGE))):
        yield chunk
        length -= len(chunk)
