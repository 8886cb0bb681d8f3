"""The end of a unit: TERM, wait, TERM, wait, then KILL until nobody of its group is left."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

from reconciler.onhost import process, procfs, units
from reconciler.onhost.problem import HostProblem

if TYPE_CHECKING:
    from reconciler.onhost.procfs import Process


def stop(request: dict[str, Any]) -> dict[str, Any]:
    """End a process and its group.

    Answer the rungs that were needed, seconds, and our child's exit code.
    """
    wanted, began = request["identity"], time.monotonic()
    pid = int(wanted["pid"])
    if pid <= 1 or pid == os.getpid():
        raise HostProblem(f"process {pid} is not a unit and is never signalled")
    rungs: list[str] = []
    with process.holding(wanted) as leader:
        group = _group(wanted, leader is not None)
        if leader is not None:
            _ask(leader, request, rungs)
        elif group:
            rungs.append("term")
            _signal_all(group, signal.SIGTERM, float(request["again"]))
        _kill(wanted, group, float(request["kill"]), rungs)
    return {
        "gone": True,
        "rungs": rungs,
        "exit_code": process.exit_code(pid),
        "seconds": time.monotonic() - began,
    }


def _ask(leader: int, request: dict[str, Any], rungs: list[str]) -> None:
    """Send TERM to the leader, twice when the first is not obeyed in time."""
    for seconds in (request["grace"], request["again"]):
        process.send(leader, signal.SIGTERM)
        rungs.append("term")
        if process.exited(leader, float(seconds)):
            return


def _kill(wanted: dict[str, Any], group: set[Process], seconds: float, rungs: list[str]) -> None:
    """Send KILL to every member until none is left; raise HostProblem at the deadline."""
    deadline = time.monotonic() + seconds
    seen = group
    while True:
        process.reap()
        seen |= _group(wanted, False, seen)
        left = {one for one in seen if _lives(one)}
        if not left:
            return
        if time.monotonic() >= deadline:
            raise HostProblem(_unkillable(min(left), seconds))
        if "kill" not in rungs:
            rungs.append("kill")
        _signal_all(left, signal.SIGKILL, deadline - time.monotonic())


def _signal_all(group: set[Process], number: signal.Signals, seconds: float) -> None:
    """Send a signal to each process that still is the one we saw, and wait until all are gone or time is up."""
    deadline = time.monotonic() + seconds
    descriptors = []
    try:
        for one in group:
            descriptor = process.pidfd(one.pid)
            if descriptor is not None:
                descriptors.append(descriptor)
                if _lives(one):
                    process.send(descriptor, number)
                else:
                    os.close(descriptors.pop())
        for descriptor in descriptors:
            process.exited(descriptor, deadline - time.monotonic())
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _lives(one: Process) -> bool:
    """Return whether this very process is still alive."""
    now = procfs.process(one.pid)
    return now is not None and now.alive and now.start == one.start


def _group(wanted: dict[str, Any], leads: bool, seen: set[Process] | None = None) -> set[Process]:
    """Return the living processes of an identity: by mark, by session, by descent from it and from `seen`."""
    if wanted["boot_id"] != procfs.boot_id():
        return set()
    pid, processes = int(wanted["pid"]), procfs.living()
    roots = {
        one.pid
        for one in seen or ()
        if one.pid in processes and processes[one.pid].start == one.start
    }
    if leads:
        roots.add(pid)
    # A pid is not reused while a session is named after it, so with the leader gone the session is
    # still the unit's.
    if leads or pid not in processes:
        roots |= {
            one.pid
            for one in processes.values()
            if one.session == pid and one.start >= wanted["start"]
        }
    for group in units.groups(processes):
        if group.members & roots:
            roots |= group.members
    roots = procfs.descendants(roots, procfs.children(processes))
    return {processes[each] for each in roots if each > 1 and each != os.getpid()}


def _unkillable(one: Process, seconds: float) -> str:
    """Return the sentence about a process that survives SIGKILL."""
    name = procfs.read(f"/proc/{one.pid}/comm").decode("utf-8", "replace").strip()
    return (
        f"process {one.pid} ({name}) is still there {seconds:g} s after SIGKILL: it hangs inside"
        " the kernel, usually in the accelerator's driver, or belongs to another user; see"
        f" /proc/{one.pid}/stack or reboot the host"
    )
