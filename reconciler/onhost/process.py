"""Processes that outlive what started them: spawn, identity, exit.

A process is told from every other by pid, start ticks, boot id and the inode of its pidfd, because
a pid is reused and two processes can start in one tick. To signal one, open the pidfd first,
compare, and then use only the pidfd.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

from reconciler.onhost import files, procfs
from reconciler.onhost.problem import HostProblem, explain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SUPERVISOR = (
    "RECONCILER_",
    "NOTIFY_SOCKET",
    "WATCHDOG_",
    "LISTEN_",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "CREDENTIALS_DIRECTORY",
)
"""What a supervisor told *us* about ourselves; an engine that believed it would speak in our
name."""

# For appending, so that truncating a log in place is safe.
_LOG_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NO_PROCESS = (errno.ESRCH, errno.EINVAL)
_NOT_STARTED = {
    errno.ENOENT: "there is no such program, or its interpreter is missing",
    errno.EACCES: "it may not be executed; check its permission bits, and its interpreter's",
    errno.ENOEXEC: "this machine cannot run that kind of file",
}


class _Child(subprocess.Popen):  # type: ignore[type-arg]
    """A child that may outlive this object: the inherited warning about that does not apply."""

    def __del__(self) -> None:
        """Leave the process alone."""


_children: dict[int, _Child] = {}
_children_lock = threading.Lock()


def identity(pid: int) -> dict[str, Any] | None:
    """Identify a process, also a zombie; None when it is gone."""
    descriptor = pidfd(pid)
    if descriptor is None:
        return None
    try:
        one = procfs.process(pid)
        inode = os.fstat(descriptor).st_ino
        return one and {"pid": pid, "start": one.start, "inode": inode, "boot_id": procfs.boot_id()}
    finally:
        os.close(descriptor)


def pidfd(pid: int) -> int | None:
    """Open a pidfd, None when there is no such process.

    Raise HostProblem where the kernel has none.
    """
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno in _NO_PROCESS:
            return None
        raise HostProblem(
            f"cannot open a pidfd: {explain(error)}; Linux 5.3 or later is needed"
        ) from error


def opened(wanted: dict[str, Any]) -> int | None:
    """Open a pidfd of the living process with this identity.

    None when it is gone, or its pid is another's now.
    """
    pid = int(wanted["pid"])
    if pid <= 1 or wanted["boot_id"] != procfs.boot_id():
        return None
    descriptor = pidfd(pid)
    if descriptor is None:
        return None
    # Compared after the open: from here on, the pidfd cannot come to mean another process.
    if _is_meant(pid, wanted, descriptor):
        return descriptor
    os.close(descriptor)
    return None


def _is_meant(pid: int, wanted: dict[str, Any], descriptor: int) -> bool:
    one = procfs.alive(pid)
    if one is None:
        return False
    return (one.start, os.fstat(descriptor).st_ino) == (wanted["start"], wanted["inode"])


@contextlib.contextmanager
def holding(wanted: dict[str, Any]) -> Iterator[int | None]:
    """Keep the pidfd of `opened` open inside the context."""
    descriptor = opened(wanted)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def lives(wanted: dict[str, Any]) -> bool:
    """Whether the process with this identity is still there."""
    with holding(wanted) as descriptor:
        return descriptor is not None


def kill(wanted: dict[str, Any]) -> None:
    """Send KILL to the process with this identity, as far as this account may."""
    with holding(wanted) as descriptor:
        if descriptor is not None:
            with contextlib.suppress(PermissionError):
                send(descriptor, signal.SIGKILL)


def exited(descriptor: int, seconds: float) -> bool:
    """Wait until the process of a pidfd exits, and tell whether it did."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


def exit_code(pid: int) -> int | None:
    """Reap the process if it is a child of ours that ended.

    Return its code, negative for a signal.
    """
    with _children_lock:
        child = _children.get(pid)
        if child is None or child.poll() is None:
            return None
        del _children[pid]
        return int(child.returncode)


def reap() -> None:
    """Reap children of ours that ended, each by its own pid, but remember their codes."""
    with _children_lock:
        for child in _children.values():
            child.poll()


def wait_exit(wanted: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Wait until a process is gone, at most `timeout` seconds.

    Answer whether it is, and our child's exit code.
    """
    with holding(wanted) as descriptor:
        gone = descriptor is None or exited(descriptor, timeout)
    return {"gone": gone, "exit_code": exit_code(int(wanted["pid"])) if gone else None}


def spawn(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Start a process in its own session; answer its identity."""
    argv, place = words(request), prepared(request, directory)
    with fresh_log(os.path.join(directory, request["log"])) as log:
        child = _start(argv, place, environment(request), log)
    return {"identity": _own(child), "at": time.time()}


def words(request: dict[str, Any]) -> list[str]:
    """Return the command line to start; raise HostProblem for one that is empty."""
    argv = [str(word) for word in request["argv"]]
    if not argv:
        raise HostProblem("the command to start is empty")
    return argv


def prepared(request: dict[str, Any], directory: str) -> str:
    """Make the folders that a unit needs, and return the one that it starts in."""
    for folder in (request["directory"], *request["folders"]):
        os.makedirs(os.path.join(directory, folder), mode=0o700, exist_ok=True)
    return os.path.join(directory, request["directory"])


def _own(child: _Child) -> dict[str, Any]:
    """Remember a child, and identify it."""
    # Under the lock that `reap` takes: a child that ended already must not be reaped, and its pid
    # given to another, before it is identified.
    with _children_lock:
        _children[child.pid] = child
        started = identity(child.pid)
    if started is None:
        raise HostProblem(f"process {child.pid} was gone before it could be identified")
    return started


def _start(argv: list[str], directory: str, environment: dict[str, str], log: int) -> _Child:
    """Start a program; raise HostProblem in words when that cannot be done."""
    try:
        # In its own session, Ctrl-C in the controller's terminal does not reach it.
        return _Child(
            argv,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            close_fds=True,
            umask=0o077,
        )
    except OSError as error:
        words = _NOT_STARTED.get(error.errno or 0, explain(error))
        raise HostProblem(f"cannot start {argv[0]}: {words}") from error
    except ValueError as error:
        raise HostProblem(
            f"cannot start {argv[0]!r}: its arguments or environment hold a character that no"
            " process can be given"
        ) from error


def environment(request: dict[str, Any]) -> dict[str, str]:
    """Make our environment one for an engine: without what it must not see, with its mark."""
    mark = {procfs.MARK: json.dumps(request["mark"], sort_keys=True, separators=(",", ":"))}
    kept = passing(os.environ, (*_SUPERVISOR, *request["scrub"]), request.get("keep", ()))
    # The mark stands first, where a bounded read finds it, and is given again so that nothing
    # replaces it; SPT_NOENV keeps Python's setproctitle from overwriting it.
    return {**mark, "SPT_NOENV": "1", **kept, **request["env"], **mark}


def passing(
    variables: Mapping[str, str], scrubbed: tuple[str, ...], passes: Sequence[str]
) -> dict[str, str]:
    """Choose the variables that pass, and those that do not begin with what is scrubbed."""
    return {
        name: value
        for name, value in variables.items()
        if name in passes or not name.startswith(scrubbed)
    }


@contextlib.contextmanager
def fresh_log(path: str) -> Iterator[int]:
    """Begin a log of this start alone; keep the one before."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, path + files.LOG_BEFORE)
    descriptor = os.open(path, _LOG_FLAGS, 0o600)
    try:
        # Only the open must not block, on a pipe of that name; the engine's own writes may.
        os.set_blocking(descriptor, True)
        os.fchmod(descriptor, 0o600)
        yield descriptor
    finally:
        os.close(descriptor)


def send(descriptor: int, number: signal.Signals) -> None:
    """Send a signal through a pidfd; a process that is gone meanwhile is fine."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(descriptor, number)
