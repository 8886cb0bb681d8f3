"""The end of a unit: TERM, wait, TERM, wait, then KILL until nothing of its group is left."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from reconciler.onhost import process, procfs, units
from reconciler.onhost.problem import HostProblem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.onhost.procfs import Process


def stop(request: dict[str, Any]) -> dict[str, Any]:
    """End a process and its group.

    Answer the rungs that were needed, seconds, and our child's exit code.
    """
    wanted, began = request["identity"], time.monotonic()
    pid = int(wanted["pid"])
    # A request that was damaged must not end init, or this very program.
    if pid <= 1 or pid == os.getpid():
        raise HostProblem(f"process {pid} is not a unit and is never signalled")
    rungs = _end(wanted, request)
    code = process.exit_code(pid)
    return {"gone": True, "rungs": rungs, "exit_code": code, "seconds": time.monotonic() - began}


def _end(wanted: dict[str, Any], request: dict[str, Any]) -> list[str]:
    """Climb the rungs until nothing of a process's group is left."""
    rungs: list[str] = []
    grace, again, kill = (float(request[name]) for name in ("grace", "again", "kill"))
    with process.holding(wanted) as leader:
        group = _group(wanted, leader is not None)
        if leader is not None:
            _ask(leader, (grace, again), rungs)
        elif group:
            rungs.append("term")
            _signal_all(group, signal.SIGTERM, again)
        _kill(wanted, group, kill, rungs)
    return rungs


def _ask(leader: int, waits: tuple[float, ...], rungs: list[str]) -> None:
    """Send TERM to the leader, again when the one before is not obeyed in time."""
    for seconds in waits:
        process.send(leader, signal.SIGTERM)
        rungs.append("term")
        if process.exited(leader, seconds):
            return


def _kill(wanted: dict[str, Any], group: set[Process], seconds: float, rungs: list[str]) -> None:
    """Send KILL to every member until none is left; raise HostProblem at the deadline."""
    deadline = time.monotonic() + seconds
    seen = group
    while True:
        # A child of ours that ended is a zombie, and stays in the list, until it is reaped.
        process.reap()
        # Looked for again each time: a process may start others while it is being ended.
        seen |= _group(wanted, False, seen)
        left = set(filter(procfs.lives, seen))
        if not left:
            return
        seconds_left = deadline - time.monotonic()
        if seconds_left <= 0:
            raise HostProblem(_unkillable(min(left), seconds))
        if "kill" not in rungs:
            rungs.append("kill")
        _signal_all(left, signal.SIGKILL, seconds_left)


def _signal_all(group: set[Process], number: signal.Signals, seconds: float) -> None:
    """Signal each process that still is the one we saw; wait until all are gone or time is up."""
    deadline = time.monotonic() + seconds
    with contextlib.ExitStack() as held:
        for descriptor in [_signalled(one, number, held) for one in group]:
            if descriptor is not None:
                process.exited(descriptor, deadline - time.monotonic())


def _signalled(one: Process, number: signal.Signals, held: contextlib.ExitStack) -> int | None:
    """Send a signal through a pidfd, open as long as `held`; None for another process."""
    descriptor = process.pidfd(one.pid)
    if descriptor is None:
        return None
    held.callback(os.close, descriptor)
    # Compared after the open: the pid may have come to mean another process before.
    if not procfs.lives(one):
        return None
    process.send(descriptor, number)
    return descriptor


def _group(wanted: dict[str, Any], leads: bool, seen: Iterable[Process] = ()) -> set[Process]:
    """Find the living processes of an identity: by mark, session and descent, also of `seen`."""
    if wanted["boot_id"] != procfs.boot_id():
        return set()
    processes = procfs.living()
    roots = _roots(wanted, leads, processes)
    roots |= {one.pid for one in seen if _is_among(one, processes)}
    # The leader may have ended since its pidfd was opened.
    found = _grown(roots, processes) - {1, os.getpid()}
    return {processes[each] for each in found if each in processes}


def _grown(roots: set[int], processes: dict[int, Process]) -> set[int]:
    """Add to processes those with the same marks, and all that descends from them."""
    for group in units.groups(processes):
        if group.members & roots:
            roots |= group.members
    return procfs.descendants(roots, procfs.children(processes))


def _roots(wanted: dict[str, Any], leads: bool, processes: dict[int, Process]) -> set[int]:
    """Find the leader, if it lives, and what is in its session."""
    pid = int(wanted["pid"])
    roots = {pid} if leads else set()
    # A pid is not reused while a session is named after it, so with the leader gone the session is
    # still the unit's.
    if leads or pid not in processes:
        roots |= _session(pid, wanted["start"], processes)
    return roots


def _session(leader: int, start: int, processes: dict[int, Process]) -> set[int]:
    """Find what is in a session, without what was in one of that name before."""
    return {one.pid for one in processes.values() if one.session == leader and one.start >= start}


def _is_among(one: Process, processes: dict[int, Process]) -> bool:
    now = processes.get(one.pid)
    return now is not None and now.start == one.start


def _unkillable(one: Process, seconds: float) -> str:
    return (
        f"process {one.pid} ({procfs.comm(one.pid)}) is still there {seconds:g} s after SIGKILL: it"
        " hangs inside the kernel, usually in the accelerator's driver, or belongs to another user;"
        f" see /proc/{one.pid}/stack or reboot the host"
    )
