"""What /proc says about processes: read in few system calls, because it is polled."""

from __future__ import annotations

import json
import os
import pwd
import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "RECONCILER_MARK"
ENVIRON_LIMIT = 128 * 1024
ARGV_LIMIT = 64 * 1024
EXEC_SECONDS = 1.0
"""How long a process may take from one program to the next, in which it shows no environment."""

_EXEC_PAUSE = 0.001

_PREFIX = MARK.encode() + b"="
_LATER_PREFIX = b"\0" + _PREFIX
_DEAD = b"ZXx"
_PARENT, _SESSION, _FLAGS, _START, _CODE, _STACK = 1, 3, 6, 19, 23, 25
_OF_THE_KERNEL = 0x00200000
"""The flag of a thread of the kernel: PF_KTHREAD in its include/linux/sched.h. It is gone when such
a thread runs a program."""

_ENDING = 0x00000004
"""The flag of a process that lets go of its memory before it is a zombie: PF_EXITING, from the same
place."""

_FIELDS = ("controller", "model", "digest")
_MORE = {"port": int, "slots": str, "fingerprint": str}


class Process(NamedTuple):
    """A process: `start` is in clock ticks since boot.

    A zombie is not alive, nor is a thread of the kernel.
    """

    pid: int
    parent: int
    session: int
    start: int
    alive: bool


def read(path: str, limit: int = 4096) -> bytes:
    """Return at most `limit` bytes of a file that gives its content in one read.

    B"" when it cannot be read.
    """
    return _content(path, limit) or b""


def _content(path: str, limit: int) -> bytes | None:
    """Return what `read` does, but None when it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(descriptor, limit)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def memory_bytes(field: str) -> int:
    """Return a line of /proc/meminfo in bytes, 0 when there is none."""
    found = re.search(rf"^{field}:\s+(\d+) kB".encode(), read("/proc/meminfo", 65536), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def parse_stat(pid: int, content: bytes) -> Process | None:
    """Return the process that a /proc/PID/stat describes.

    A program's name may hold spaces and parentheses.
    """
    fields = content.rpartition(b")")[2].split(None, _START + 1)
    if len(fields) <= _START:
        return None
    alive = fields[0] not in _DEAD and not int(fields[_FLAGS]) & _OF_THE_KERNEL
    return Process(pid, int(fields[_PARENT]), int(fields[_SESSION]), int(fields[_START]), alive)


def process(pid: int) -> Process | None:
    """Return the process with this pid, zombies included."""
    return parse_stat(pid, read(f"/proc/{pid}/stat"))


def pids(proc: str = "/proc") -> list[int]:
    """Return the pids of all processes that can be seen."""
    return [int(name) for name in os.listdir(proc) if name.isdigit()]


def argv(pid: int, proc: str = "/proc") -> list[str]:
    """Return the words of a process's command line."""
    content = read(f"{proc}/{pid}/cmdline", ARGV_LIMIT)
    return content.decode("utf-8", "replace").removesuffix("\0").split("\0") if content else []


def root(pid: int, proc: str = "/proc") -> str:
    """Return where a process's own / is to be seen from outside."""
    return os.path.join(proc, str(pid), "root")


def owner(pid: int, proc: str = "/proc") -> int:
    """Return the number of the user whose process it is, -1 when it is gone."""
    try:
        return os.stat(f"{proc}/{pid}").st_uid
    except OSError:
        return -1


def user(pid: int, proc: str = "/proc") -> str:
    """Return the user whose process it is, by name where it has one."""
    number = owner(pid, proc)
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def living() -> dict[int, Process]:
    """Return every process that is alive, by pid."""
    found = {}
    for pid in pids():
        one = process(pid)
        if one is not None and one.alive:
            found[pid] = one
    return found


def mark_text(pid: int, proc: str = "/proc") -> str | None:
    """Return the mark in a process's environment as it was written, None when there is none or it is not ours."""
    environment = _environment(pid, proc)
    if not environment.startswith(_PREFIX) and _LATER_PREFIX not in environment:
        return None
    text = next(entry for entry in environment.split(b"\0") if entry.startswith(_PREFIX))[
        len(_PREFIX) :
    ]
    return text.decode("utf-8", "replace") if parse_mark(text.decode("utf-8", "replace")) else None


def _environment(pid: int, proc: str) -> bytes:
    """Return a process's environment as it was given.

    One that is on its way to its next program is waited for.
    """
    path, until = f"{proc}/{pid}/environ", time.monotonic() + EXEC_SECONDS
    environment = _content(path, ENVIRON_LIMIT)
    while environment == b"" and time.monotonic() < until:
        before = _program(pid, proc)
        environment = _content(path, ENVIRON_LIMIT)
        if before == _program(pid, proc) and before[:1] != (b"0",):
            break
        time.sleep(_EXEC_PAUSE)
    return environment or b""


def _program(pid: int, proc: str) -> tuple[bytes, ...]:
    """Return what differs between one program of a process and the next: where its code and its stack begin; () without one.

    From leaving one until entering the next its code begins at 0 (fs/proc/array.c, seen with Linux
    6.18).
    """
    fields = read(f"{proc}/{pid}/stat").rpartition(b")")[2].split(None, _STACK + 1)
    runs_one = (
        len(fields) > _STACK
        and fields[0] not in _DEAD
        and not int(fields[_FLAGS]) & (_OF_THE_KERNEL | _ENDING)
    )
    return (fields[_CODE], fields[_STACK]) if runs_one else ()


@lru_cache(maxsize=64)
def parse_mark(text: str) -> dict[str, Any] | None:
    """Return the fields of a mark, None when it is not one of ours."""
    try:
        mark = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(mark, dict) or not all(isinstance(mark.get(field), str) for field in _FIELDS):
        return None
    more = {field: mark[field] for field in _MORE if isinstance(mark.get(field), _MORE[field])}
    return {**{field: mark[field] for field in _FIELDS}, **more}


def children(processes: dict[int, Process]) -> dict[int, list[int]]:
    """Return the pids right below each pid that has any, in the tree of `processes`."""
    below: dict[int, list[int]] = {}
    for one in processes.values():
        below.setdefault(one.parent, []).append(one.pid)
    return below


def descendants(leaders: set[int], tree: dict[int, list[int]]) -> set[int]:
    """Return the pids of `leaders` and everything below them in a tree of `children`."""
    found, waiting = set(leaders), list(leaders)
    while waiting:
        below = [pid for pid in tree.get(waiting.pop(), ()) if pid not in found]
        found.update(below)
        waiting += below
    return found


def offspring(pid: int) -> list[int]:
    """Return the pids below a process, asking only its own tree: fast, but blind to a daemon that left the tree."""
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        try:
            threads = os.listdir(f"/proc/{current}/task")
        except OSError:
            continue
        for thread in threads:
            below = [
                int(child)
                for child in read(f"/proc/{current}/task/{thread}/children", 65536).split()
            ]
            found += below
            waiting += below
    return found


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Return the id that the kernel chose at this boot."""
    return read("/proc/sys/kernel/random/boot_id").decode().strip()


@lru_cache(maxsize=1)
def ticks() -> int:
    """Return how many clock ticks a second has."""
    return os.sysconf("SC_CLK_TCK")


def link(path: str) -> str:
    """Return where a link leads, as text that can be written anywhere.

    "" when it cannot be read.
    """
    try:
        return os.readlink(os.fsencode(path)).decode("utf-8", "replace")
    except OSError:
        return ""


def descriptors(pid: int, proc: str = "/proc") -> Iterator[str]:
    """Yield what a process has open; raise OSError when that is hidden.

    One that is closed meanwhile is "".
    """
    folder = f"{proc}/{pid}/fd"
    return (link(f"{folder}/{descriptor}") for descriptor in os.listdir(folder))


def works_in(pid: int, directory: str) -> bool:
    """Return whether a process's working directory lies in `directory`, as every unit's does that was started from there."""
    try:
        place = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return False
    return place.removesuffix(" (deleted)").startswith(
        os.path.realpath(directory).rstrip("/") + "/"
    )
