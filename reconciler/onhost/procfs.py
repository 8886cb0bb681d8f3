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
TABLE_LIMIT = 64 * 1024
EXEC_SECONDS = 1.0
"""How long a process may take from one program to the next, in which it shows no environment."""

_EXEC_PAUSE = 0.001

_PREFIX = b"\0" + MARK.encode() + b"="
_DEAD = b"ZXx"
_PARENT, _SESSION, _FLAGS, _START, _CODE, _STACK = 1, 3, 6, 19, 23, 25
_OF_THE_KERNEL = 0x00200000
"""The flag of a thread of the kernel: PF_KTHREAD in its include/linux/sched.h. It is gone when such
a thread runs a program."""

_ENDING = 0x00000004
"""The flag of a process that lets go of its memory before it is a zombie: PF_EXITING, from the same
place."""

_NEEDED = {"controller", "model", "digest"}
_FIELDS = {
    "controller": str,
    "model": str,
    "digest": str,
    "port": int,
    "slots": str,
    "fingerprint": str,
    "service": str,
}


class Process(NamedTuple):
    """A process; `start` is in clock ticks since boot.

    A zombie is not alive, nor is a thread of the kernel.
    """

    pid: int
    parent: int
    session: int
    start: int
    alive: bool


def read(path: str, limit: int = 4096) -> bytes:
    """Read at most `limit` bytes of a file that gives its content in one read; none on failure."""
    return _content(path, limit) or b""


def text(path: str, limit: int = 4096) -> str:
    """Read as `read` does, as text that can be written anywhere."""
    return read(path, limit).decode("utf-8", "replace")


def _content(path: str, limit: int) -> bytes | None:
    """Read as `read` does, but None when that fails."""
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


def memory_bytes(field: str, proc: str = "/proc") -> int:
    """Read a line of /proc/meminfo, in bytes; 0 when there is none."""
    table = text(f"{proc}/meminfo", TABLE_LIMIT)
    found = re.search(rf"^{field}:\s+(\d+) kB", table, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def parse_stat(pid: int, content: bytes) -> Process | None:
    """Read the process that a /proc/PID/stat describes; None when it describes none."""
    fields = _fields(content, _START)
    if len(fields) <= _START:
        return None
    parent, session, start = (int(fields[place]) for place in (_PARENT, _SESSION, _START))
    return Process(pid, parent, session, start, not _is_dead(fields, _OF_THE_KERNEL))


def _is_dead(fields: list[bytes], flags: int) -> bool:
    """Whether a process has ended, or is one of those with these flags."""
    return fields[0] in _DEAD or bool(int(fields[_FLAGS]) & flags)


def _fields(stat: bytes, last: int) -> list[bytes]:
    """Split a line of stat up to a field."""
    # After the last parenthesis: a program's name may hold spaces and parentheses.
    return stat.rpartition(b")")[2].split(None, last + 1)


def process(pid: int, proc: str = "/proc") -> Process | None:
    """Look at the process with this pid, also when it is a zombie; None when there is none."""
    return parse_stat(pid, read(f"{proc}/{pid}/stat"))


def fields(pid: int, proc: str = "/proc") -> list[bytes]:
    """Split what the kernel says of a process, from its state on; [] of one that is gone."""
    return _fields(read(f"{proc}/{pid}/stat"), _STACK)


def pids(proc: str = "/proc") -> list[int]:
    """List the pids of all processes that can be seen."""
    return [int(name) for name in os.listdir(proc) if name.isdigit()]


def argv(pid: int, proc: str = "/proc") -> list[str]:
    """Read the words of a process's command line."""
    content = text(f"{proc}/{pid}/cmdline", ARGV_LIMIT)
    return content.removesuffix("\0").split("\0") if content else []


def comm(pid: int, proc: str = "/proc") -> str:
    """Read the name that the kernel shows of a process, "" when it is gone."""
    return text(f"{proc}/{pid}/comm").strip()


def values(words: list[str], flag: str) -> list[str]:
    """List what follows a flag in a command line, as the next word or after an equals sign."""
    parts = _parts(words)
    return [value for name, value in zip(parts, parts[1:]) if name == flag]


def _parts(words: list[str]) -> list[str]:
    return [part for word in words for part in word.split("=", 1)]


def root(pid: int, proc: str = "/proc") -> str:
    """Name the folder that shows a process's own / from outside."""
    return os.path.join(proc, str(pid), "root")


def owner(pid: int, proc: str = "/proc") -> int:
    """Find the number of the user whose process it is, -1 when it is gone."""
    try:
        return os.stat(f"{proc}/{pid}").st_uid
    except OSError:
        return -1


def user(pid: int, proc: str = "/proc") -> str:
    """Find the user whose process it is, by name where it has one."""
    return account(owner(pid, proc))


def account(number: int) -> str:
    """Name the account of a user; its number where it has no name."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def alive(pid: int, proc: str = "/proc") -> Process | None:
    """Look at the process with this pid, None when it has ended."""
    one = process(pid, proc)
    return one if one and one.alive else None


def lives(one: Process) -> bool:
    """Whether this very process is still alive."""
    now = alive(one.pid)
    return now is not None and now.start == one.start


def living() -> dict[int, Process]:
    """Look at every process that is alive, by pid."""
    return {one.pid: one for one in map(alive, pids()) if one}


def environment(pid: int, proc: str = "/proc") -> dict[str, str]:
    """Read a process's environment; {} where it is hidden."""
    entries = _environment(pid, proc).decode("utf-8", "replace").split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def mark_text(pid: int, proc: str = "/proc") -> str | None:
    """Read the mark in a process's environment as it was written; None without one of ours."""
    environment = b"\0" + _environment(pid, proc)
    # Most processes have none: a search in bytes is all that these cost.
    _, found, rest = environment.partition(_PREFIX)
    mark = rest.partition(b"\0")[0].decode("utf-8", "replace")
    return mark if found and parse_mark(mark) else None


def _environment(pid: int, proc: str) -> bytes:
    """Read a process's environment as it was given."""
    path, until = f"{proc}/{pid}/environ", time.monotonic() + EXEC_SECONDS
    environment = _content(path, ENVIRON_LIMIT)
    # On its way to its next program, a process shows none: it is waited for, or a unit that has
    # just been started, or whose script hands over to its engine, would seem to be gone.
    while environment == b"" and time.monotonic() < until:
        before = _program(pid, proc)
        environment = _content(path, ENVIRON_LIMIT)
        if before == _program(pid, proc) and before[:1] != (b"0",):
            break
        time.sleep(_EXEC_PAUSE)
    return environment or b""


def _program(pid: int, proc: str) -> tuple[bytes, ...]:
    """Find what tells one program of a process from the next; () without one.

    That is where its code and its stack begin. From leaving one program until entering the next,
    its code begins at 0 (fs/proc/array.c, seen with Linux 6.18).
    """
    found = fields(pid, proc)
    if len(found) <= _STACK or _is_dead(found, _OF_THE_KERNEL | _ENDING):
        return ()
    return found[_CODE], found[_STACK]


# A mark is the same text at every look.
@lru_cache(maxsize=64)
def parse_mark(text: str) -> dict[str, Any] | None:
    """Read the fields of a mark, None when it is not one of ours."""
    known = _known_fields(_parsed(text))
    return known if known.keys() >= _NEEDED else None


def _parsed(text: str) -> dict[str, Any]:
    """Read an object of JSON; any other text is an empty one."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _known_fields(mark: dict[str, Any]) -> dict[str, Any]:
    # Units of earlier versions have fewer fields, those of later ones may have more.
    return {
        field: mark[field] for field, kind in _FIELDS.items() if isinstance(mark.get(field), kind)
    }


def children(processes: dict[int, Process]) -> dict[int, list[int]]:
    """List the pids right below each pid that has any, in the tree of `processes`."""
    below: dict[int, list[int]] = {}
    for one in processes.values():
        below.setdefault(one.parent, []).append(one.pid)
    return below


def descendants(leaders: set[int], tree: dict[int, list[int]]) -> set[int]:
    """Collect the pids of `leaders` and everything below them in a tree of `children`."""
    found, waiting = set(leaders), list(leaders)
    while waiting:
        below = [pid for pid in tree.get(waiting.pop(), ()) if pid not in found]
        found.update(below)
        waiting += below
    return found


def offspring(pid: int) -> list[int]:
    """List the pids below a process, asking only its own tree.

    That is fast, but blind to a daemon that left the tree.
    """
    found = []
    waiting = [pid]
    while waiting:
        below = _below(waiting.pop())
        found += below
        waiting += below
    return found


def _below(pid: int) -> list[int]:
    """List the children of a process, whichever of its threads started them."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    lists = [text(f"/proc/{pid}/task/{thread}/children", TABLE_LIMIT) for thread in threads]
    return [int(child) for children in lists for child in children.split()]


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Read the id that the kernel chose at this boot."""
    return text("/proc/sys/kernel/random/boot_id").strip()


@lru_cache(maxsize=1)
def ticks() -> int:
    """Ask how many clock ticks a second has."""
    return os.sysconf("SC_CLK_TCK")


def age(one: Process) -> float:
    """Measure how long ago a process started, in seconds in which the host may have slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - one.start / ticks()


def link(path: str) -> str:
    """Read where a link leads, as text that can be written anywhere; "" on failure."""
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
    """Whether a process's working directory lies in `directory`.

    Every unit's does that was started from there.
    """
    try:
        place = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return False
    folder = os.path.realpath(directory).rstrip("/") + "/"
    return place.removesuffix(" (deleted)").startswith(folder)
