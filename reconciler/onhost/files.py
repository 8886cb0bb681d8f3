"""Files that are small or only looked at (claim, log, program, page cache), and durable writing."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import grp
import json
import os
import re
import shutil
import stat
import time
from typing import TYPE_CHECKING, Any, BinaryIO

from reconciler.onhost import permissions, procfs
from reconciler.onhost.problem import NO_OBJECTION, HostProblem, explain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CLAIM = "claim.json"
CLAIM_LIMIT = 64 * 1024
LOG_BEFORE = ".1"
"""How the name of the log before the present one ends."""

TAIL_LIMIT = 256 * 1024
LINE_LIMIT = 2000
LINES_LIMIT = 1000
PREFETCH_CHUNK = 16 * 1024 * 1024
SHARDS_LIMIT = 1000

_CLAIM_TEXTS = ("controller", "name", "directory", "boot")
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


def absolute(path: str, directory: str) -> str:
    """Make a path that is relative to the host directory absolute."""
    return os.path.join(directory, path)


def write_durably(path: str, content: bytes) -> None:
    """Replace a file, private to its owner: after any crash it is either the old one or the new.

    Raise HostProblem when that cannot be done; the old one stays.
    """
    temporary = path + ".tmp"
    try:
        _write_synced(temporary, content)
        os.replace(temporary, path)
        sync_folder(os.path.dirname(path))
    except OSError as error:
        _remove(temporary)
        raise HostProblem(f"cannot write {path}: {explain(error)}") from error


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def _write_synced(path: str, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as file:
        # A leftover of an interrupted write keeps the mode that it had.
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: str) -> None:
    """Make the names in a directory durable."""
    with _open_folder(path) as descriptor:
        os.fsync(descriptor)


@contextlib.contextmanager
def _open_folder(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_bounded(path: str, limit: int) -> bytes:
    """Read a whole regular file.

    Raise HostProblem for another kind, or one larger than `limit` bytes; FileNotFoundError.
    """
    with open_to_read(path) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise HostProblem(f"{path} is not a regular file")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise HostProblem(f"{path} is larger than the {limit} bytes expected of it at most")
    return content


def open_to_read(path: str) -> BinaryIO:
    """Open a file to read its bytes, without waiting for a writer where it is a pipe."""
    return open(path, "rb", opener=_without_waiting)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def claim(directory: str) -> dict[str, Any]:
    """Answer which controller acts on this host, None when none does."""
    path = _claim_path(directory)
    try:
        return {"claim": _parsed_claim(read_json(path, CLAIM_LIMIT))}
    except FileNotFoundError:
        return {"claim": None}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise HostProblem(
            f"the claim {path} cannot be understood; find out who wrote it, then remove it or take"
            " over"
        ) from error


def _claim_path(directory: str) -> str:
    return os.path.join(directory, CLAIM)


def _parsed_claim(told: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever stands there
    # Controllers of earlier versions claimed without their boot.
    texts = {"boot": "", **told}
    return {**{name: _text(texts[name]) for name in _CLAIM_TEXTS}, "at": float(told["at"])}


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(value)


def write_claim(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Claim the host.

    Raise HostProblem when a claim stands that is not the one to be replaced, unless `take_over`.
    """
    wanted = request["claim"]
    os.makedirs(directory, mode=0o700, exist_ok=True)
    with _alone(directory):
        standing = None if request.get("take_over") else claim(directory)["claim"]
        if standing not in (None, wanted, request.get("replaces")):
            raise HostProblem(_claimed_by(standing))
        # Each pass claims; a claim that stands costs no sync of the disk.
        if standing != wanted:
            write_json(_claim_path(directory), wanted)
    return {"claim": wanted}


def read_json(path: str, limit: int) -> Any:  # noqa: ANN401 - whatever stands there
    """Read a file of JSON; raise what `read_bounded` does, ValueError or RecursionError."""
    return json.loads(read_bounded(path, limit))


def write_json(path: str, value: object) -> None:
    """Replace a file of JSON durably, with its keys in order."""
    write_durably(path, json.dumps(value, sort_keys=True).encode())


def _claimed_by(standing: dict[str, Any]) -> str:
    place = f"{standing['name']} ({standing['directory']})"
    return f"the host is claimed by controller {place}; stop that one, or take over"


@contextlib.contextmanager
def _alone(directory: str) -> Iterator[None]:
    """Let one writer in at a time, so that none writes between another's look and write."""
    with _open_folder(directory) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def tail(path: str, lines: int, after: str = "") -> dict[str, Any]:
    """Answer the last lines of a log, none when it does not exist yet, and the `end` of the last.

    After an earlier end, only the whole lines since: of the log before too when another was begun
    meanwhile.
    """
    found: list[str] = []
    end = after
    for name in (path + LOG_BEFORE, path) if after else (path,):
        with contextlib.suppress(FileNotFoundError), open_to_read(name) as file:
            begin = _known_place(end, os.fstat(file.fileno()))
            if begin is not None or name == path:
                more, end = _lines(file, begin or 0, whole=bool(after))
                found += more
    # Not found[-lines:], which for 0 is all.
    last = found[max(0, len(found) - max(0, min(lines, LINES_LIMIT))) :]
    return {"lines": [line[:LINE_LIMIT] for line in last], "end": end}


def _known_place(end: str, status: os.stat_result) -> int | None:
    """Find where to read on in a file; None where an end is of another one, or it was cut since."""
    inode, _, offset = end.partition(":")
    is_there = inode == str(status.st_ino) and offset.isdecimal()
    return int(offset) if is_there and int(offset) <= status.st_size else None


def _lines(file: BinaryIO, begin: int, *, whole: bool) -> tuple[list[str], str]:
    """Read what fits of the lines from a place on; also the end of the last whole one."""
    status = os.fstat(file.fileno())
    start = max(begin, status.st_size - TAIL_LIMIT)
    file.seek(start)
    content = file.read(TAIL_LIMIT)
    length = content.rfind(b"\n") + 1
    text = (content[:length] if whole else content).decode("utf-8", "replace")
    # Where the limit cut in, the first line has lost its beginning.
    lines = text.splitlines()[1 if start > begin else 0 :]
    return lines, f"{status.st_ino}:{start + length}"


def program(name: str, directory: str) -> dict[str, Any]:
    """Answer where a program file is, its size and time, and why it cannot run, with the remedy."""
    if os.sep in name:
        return _judged(absolute(name, directory))
    path = shutil.which(name)
    return _not_on_path(name) if path is None else _judged(path)


def _not_on_path(name: str) -> dict[str, Any]:
    searched = os.environ.get("PATH", "")
    found = f"there is no program {name} on this host's PATH ({searched})"
    return _program(name, found, "install it, or name its path with binary:")


def _judged(path: str) -> dict[str, Any]:
    try:
        status = os.stat(path)
    except OSError as error:
        return _program(path, f"the program {path} cannot be used: {explain(error)}")
    answer = _barred(path, status.st_mode) or _program(path)
    return {**answer, "size": status.st_size, "modified_ns": status.st_mtime_ns}


def _barred(path: str, mode: int) -> dict[str, Any] | None:
    """Describe a file that is there and cannot run, None when it can."""
    if not stat.S_ISREG(mode):
        return _program(path, f"the program {path} is not a file")
    # An interpreter reads a script, which need not be executable for that.
    wanted, word = (os.R_OK, "readable") if path.endswith(".py") else (os.X_OK, "executable")
    if os.access(path, wanted):
        return None
    found = f"the program {path} is not {word} for this user"
    return _program(path, found, "check its permission bits")


def _program(path: str, found: str = "", fix: str = "") -> dict[str, Any]:
    return {"path": path, "problem": {"found": found, "fix": fix}, "size": 0, "modified_ns": 0}


def is_gone(path: str) -> bool:
    """Whether nothing is at a path for certain, not even a link that leads nowhere from here."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def place(path: str, folder: bool, *, written: bool = False, pid: int = 0) -> dict[str, Any]:
    """Answer in words why a file or a folder cannot be read, or written, empty when it can.

    A folder also by the process `pid`, 0 for none, and then with what is done about it.
    """
    reason = _unreadable(path, folder)
    if reason or not written:
        return {"problem": f"{path} cannot be read{reason}" if reason else ""}
    if not os.access(path, os.W_OK):
        return {"problem": f"{path} cannot be written by this user; check its permission bits"}
    barred = permissions.barred(path, pid) if pid else NO_OBJECTION
    return {"problem": barred.found, "fix": barred.fix}


def _unreadable(path: str, folder: bool) -> str:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return f": {explain(error)}"
    if folder:
        is_right, kind, wanted = stat.S_ISDIR(mode), "folder", os.R_OK | os.X_OK
    else:
        is_right, kind, wanted = stat.S_ISREG(mode), "regular file", os.R_OK
    if not is_right:
        return f": it is not a {kind}"
    return "" if os.access(path, wanted) else " by this user; check its permission bits"


def shards(path: str) -> list[str]:
    """List all files of a model that is split as `-00001-of-0000N.gguf`, or just this one."""
    match = _SHARD.search(path)
    if match is None or part(path) == 0:
        return [path]
    stem, rest = path[: match.start(1)], path[match.end(1) :]
    return [f"{stem}{number:05d}{rest}" for number in range(1, int(match[2]) + 1)]


def part(path: str) -> int:
    """Read from its name which part of a split model a file is, from 1 on; 0 for a whole model."""
    match = _SHARD.search(path)
    number, count = map(int, match.groups()) if match else (0, 0)
    return number if 1 < count <= SHARDS_LIMIT and number <= count else 0


def prefetch(path: str) -> dict[str, Any]:
    """Ask the kernel to read a model into the page cache, as much as fits.

    Answer the bytes asked for.
    """
    began, room, asked = time.monotonic(), available_memory(), 0
    for shard in shards(path):
        asked += _prefetched(shard, room - asked)
    return {"bytes": asked, "seconds": time.monotonic() - began}


def _prefetched(path: str, room: int) -> int:
    """Ask for one file; return the bytes asked for, `room` at most."""
    with open_to_read(path) as file:
        number = file.fileno()
        size = max(0, min(os.fstat(number).st_size, room))
        for offset in range(0, size, PREFETCH_CHUNK):
            os.posix_fadvise(number, offset, PREFETCH_CHUNK, os.POSIX_FADV_WILLNEED)
    return size


def available_memory() -> int:
    """Estimate the bytes that the page cache can take: three quarters of what needs no swapping."""
    # The last quarter is for what runs: weights that are read ahead must push nothing out.
    return procfs.memory_bytes("MemAvailable") * 3 // 4


def free_bytes(path: str) -> int | None:
    """Measure the space an ordinary user has left where a path is or would be."""
    while not os.path.isdir(path):
        path = os.path.dirname(path) or os.sep
    return shutil.disk_usage(path).free


def nearest(path: str) -> str:
    """Find what is there of a path: itself, or the folder that it would be made in."""
    while not os.path.lexists(path):
        path = os.path.dirname(path) or os.sep
    return path


def matching(patterns: Iterable[str], root: str) -> Iterator[str]:
    """Yield what there is of absolute patterns below a root, those of each pattern sorted."""
    for pattern in patterns:
        yield from sorted(glob.glob(os.path.join(root, pattern[1:])))


def obstacle(folder: str) -> str:
    """Tell why nobody could write into a folder, or this user not even if it were theirs.

    "" for neither.
    """
    if not os.path.isdir(folder):
        return "no folder"
    return _disk_obstacle(os.statvfs(folder)) if os.access(folder, os.X_OK) else "closed"


def _disk_obstacle(disk: os.statvfs_result) -> str:
    if disk.f_flag & os.ST_RDONLY:
        return "read-only"
    # Some file systems count no inodes: they say that there are none at all.
    return "no files" if disk.f_files and not disk.f_favail else ""


def libraries(folder: str) -> list[str]:
    """List the shared libraries in a folder, sorted."""
    found = glob.glob(os.path.join(glob.escape(folder), "*.so*"))
    # A link to nowhere is nothing that a program loads.
    return sorted(filter(os.path.exists, found))


def group(path: str) -> str:
    """Name the group of a file, "" where it has no name, or cannot be seen."""
    with contextlib.suppress(OSError, KeyError):
        return grp.getgrgid(os.stat(path).st_gid).gr_name
    return ""
