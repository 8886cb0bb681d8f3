"""Files that are small or only looked at: claim, log, program, page cache.

And how a file is replaced durably.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import re
import shutil
import stat
import time
from typing import IO, TYPE_CHECKING, Any

from reconciler.onhost import procfs
from reconciler.onhost.problem import HostProblem, explain

if TYPE_CHECKING:
    from collections.abc import Iterator

CLAIM = "claim.json"
CLAIM_LIMIT = 64 * 1024
LOG_BEFORE = ".1"
"""What the name of a log ends with that was begun before the present one."""

TAIL_LIMIT = 256 * 1024
LINE_LIMIT = 2000
LINES_LIMIT = 1000
PREFETCH_CHUNK = 16 * 1024 * 1024
SHARDS_LIMIT = 1000

_CLAIM_TEXTS = ("controller", "name", "directory")
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})(\.gguf)$")


def absolute(path: str, directory: str) -> str:
    """Return a path that is relative to the host directory as an absolute one."""
    return os.path.join(directory, path)


def write_durably(path: str, content: bytes) -> None:
    """Replace a file so that after any crash it is either the old one or the new one.

    Private to its owner.
    """
    temporary = path + ".tmp"
    try:
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
        sync_folder(os.path.dirname(path))
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise HostProblem(f"cannot write {path}: {explain(error)}") from error


def sync_folder(path: str) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bounded(path: str, limit: int) -> bytes:
    """Return a whole regular file.

    Raise HostProblem when it is larger than `limit`, or FileNotFoundError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise HostProblem(f"{path} is not a regular file")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise HostProblem(
            f"{path} is larger than the {limit} bytes that are expected of it at most"
        )
    return content


def claim(directory: str) -> dict[str, Any]:
    """Answer which controller acts on this host, None when nobody does."""
    path = os.path.join(directory, CLAIM)
    try:
        content = json.loads(read_bounded(path, CLAIM_LIMIT))
        told = {name: _text(content[name]) for name in _CLAIM_TEXTS}
        return {
            "claim": {**told, "boot": _text(content.get("boot", "")), "at": float(content["at"])}
        }
    except FileNotFoundError:
        return {"claim": None}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise HostProblem(
            f"the claim {path} cannot be understood; find out who wrote it, then remove it or take"
            " over"
        ) from error


def _text(value: object) -> str:
    """Return a text; raise TypeError for anything else."""
    if isinstance(value, str):
        return value
    raise TypeError(value)


def write_claim(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Claim the host.

    Raise HostProblem when a claim stands that is not the one to be replaced, unless `take_over`.
    """
    wanted, replaced = request["claim"], request.get("replaces")
    os.makedirs(directory, mode=0o700, exist_ok=True)
    with _alone(directory):
        standing = None if request.get("take_over") else claim(directory)["claim"]
        if standing is not None and standing not in (wanted, replaced):
            raise HostProblem(
                f"the host is claimed by controller {standing['name']} ({standing['directory']});"
                " stop that one, or take over"
            )
        if standing != wanted:
            write_durably(
                os.path.join(directory, CLAIM), json.dumps(wanted, sort_keys=True).encode()
            )
    return {"claim": wanted}


@contextlib.contextmanager
def _alone(directory: str) -> Iterator[None]:
    """Let one writer in at a time."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def tail(path: str, lines: int, after: str = "") -> dict[str, Any]:
    """Answer the last lines of a log, none when it does not exist yet, and the `end` of its last whole line.

    After an earlier end, only the whole lines since: of the log before too when it was begun anew
    meanwhile.
    """
    found: list[str] = []
    end = after
    for name in (path + LOG_BEFORE, path) if after else (path,):
        with (
            contextlib.suppress(FileNotFoundError),
            open(name, "rb", opener=_without_waiting) as file,
        ):
            status = os.fstat(file.fileno())
            number, _, offset = end.partition(":")
            known = number == str(status.st_ino) and int(offset) <= status.st_size
            if known or name == path:
                more, length = _lines(
                    file, int(offset) if known else 0, status.st_size, whole=bool(after)
                )
                found += more
                end = f"{status.st_ino}:{length}"
    count = max(0, min(lines, LINES_LIMIT, len(found)))
    return {"lines": [line[:LINE_LIMIT] for line in found[len(found) - count :]], "end": end}


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _lines(file: IO[bytes], begin: int, size: int, *, whole: bool) -> tuple[list[str], int]:
    """Return the lines of a file from a place on, as many as fit into the limit, and where the last whole one ends."""
    start = max(begin, size - TAIL_LIMIT)
    file.seek(start)
    content = file.read(TAIL_LIMIT)
    end = content.rfind(b"\n") + 1
    text = (content[:end] if whole else content).decode("utf-8", "replace")
    return text.splitlines()[1 if start > begin else 0 :], start + end


def program(name: str, directory: str) -> dict[str, Any]:
    """Answer where a program file is, its size and time, and in words why it cannot run, with the remedy."""
    if os.sep in name:
        path: str | None = absolute(name, directory)
    else:
        path = shutil.which(name)
        if path is None:
            searched = os.environ.get("PATH", "")
            found = f"there is no program {name} on this host's PATH ({searched})"
            return _program(name, found, "install it, or name its path with binary:")
    return _judged(str(path))


def _judged(path: str) -> dict[str, Any]:
    """Describe a program file; one that an interpreter reads need not be executable."""
    try:
        status = os.stat(path)
    except OSError as error:
        return _program(path, f"the program {path} cannot be used: {explain(error)}")
    answer = _program(path)
    if not stat.S_ISREG(status.st_mode):
        answer = _program(path, f"the program {path} is not a file")
    elif not os.access(path, os.R_OK if path.endswith(".py") else os.X_OK):
        wanted = "readable" if path.endswith(".py") else "executable"
        answer = _program(
            path, f"the program {path} is not {wanted} for this user", "check its permission bits"
        )
    return {**answer, "size": status.st_size, "modified_ns": status.st_mtime_ns}


def _program(path: str, found: str = "", fix: str = "") -> dict[str, Any]:
    return {"path": path, "problem": {"found": found, "fix": fix}, "size": 0, "modified_ns": 0}


def place(path: str, folder: bool) -> dict[str, Any]:
    """Answer in words why a file or a folder cannot be read, empty when it can."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return {"problem": f"{path} cannot be read: {explain(error)}"}
    if not (stat.S_ISDIR(mode) if folder else stat.S_ISREG(mode)):
        return {
            "problem": (
                f"{path} cannot be read: it is not a {'folder' if folder else 'regular file'}"
            )
        }
    readable = os.access(path, os.R_OK | (os.X_OK if folder else 0))
    return {
        "problem": (
            "" if readable else f"{path} cannot be read by this user; check its permission bits"
        )
    }


def shards(path: str) -> list[str]:
    """Return all files of a model that is split as `-00001-of-0000N.gguf`, or just this one."""
    match = _SHARD.search(path)
    if match is None or part(path) == 0:
        return [path]
    return [
        f"{path[: match.start()]}-{number:05d}-of-{match[2]}{match[3]}"
        for number in range(1, int(match[2]) + 1)
    ]


def part(path: str) -> int:
    """Return which part of a split model a file is by its name, from 1 on.

    0 for a model in one file.
    """
    match = _SHARD.search(path)
    number, count = (int(match[1]), int(match[2])) if match else (0, 1)
    return number if 1 < count <= SHARDS_LIMIT and number <= count else 0


def prefetch(path: str) -> dict[str, Any]:
    """Ask the kernel to read a model into the page cache, as much as fits.

    Answer the bytes asked for.
    """
    began, room, asked = time.monotonic(), available_memory(), 0
    for shard in shards(path):
        descriptor = os.open(shard, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            size = min(os.fstat(descriptor).st_size, room - asked)
            for offset in range(0, size, PREFETCH_CHUNK):
                os.posix_fadvise(descriptor, offset, PREFETCH_CHUNK, os.POSIX_FADV_WILLNEED)
            asked += max(0, size)
        finally:
            os.close(descriptor)
    return {"bytes": asked, "seconds": time.monotonic() - began}


def available_memory() -> int:
    """Return three quarters of the memory that can be used without swapping, so that the page cache pushes nobody."""
    return procfs.memory_bytes("MemAvailable") * 3 // 4


def free_bytes(path: str) -> int | None:
    """Return the space an ordinary user has left where a path is or would be."""
    while not os.path.isdir(path):
        path = os.path.dirname(path) or os.sep
    return shutil.disk_usage(path).free


def nearest(path: str) -> str:
    """Return what is there of a path: itself, or the folder that it would be made in."""
    while not os.path.lexists(path):
        path = os.path.dirname(path) or os.sep
    return path


def obstacle(folder: str) -> str:
    """Return why nobody could write into a folder, or this user not even if it were theirs.

    "" for neither.
    """
    if not os.path.isdir(folder):
        return "no folder"
    if not os.access(folder, os.X_OK):
        return "closed"
    disk = os.statvfs(folder)
    if disk.f_flag & os.ST_RDONLY:
        return "read-only"
    return "no files" if disk.f_files and not disk.f_favail else ""


def libraries(folder: str) -> list[str]:
    """Return the shared libraries in a folder, sorted."""
    found = sorted(glob.glob(os.path.join(glob.escape(folder), "*.so*")))
    return [
        path for path in found if os.path.exists(path)
    ]  # a link to nowhere is nothing that a program loads
