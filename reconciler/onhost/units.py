"""Which units run: every process that carries our mark, gathered into groups.

A group is all processes with one mark, what runs in their sessions, and what descends from them.
Its leader is the oldest marked process that leads a session: later session leaders with the same
mark are daemons that it started.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.onhost import process, procfs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.onhost.procfs import Process


class Group(NamedTuple):
    """One unit's processes."""

    mark: dict[str, Any]
    first: Process
    leader: bool
    members: set[int]


def groups(processes: dict[int, Process]) -> list[Group]:
    """Return every group among living processes."""
    texts = {pid: text for pid in processes for text in [procfs.mark_text(pid)] if text is not None}
    tree = procfs.children(processes)
    return [_group(text, texts, processes, tree) for text in sorted(set(texts.values()))]


def _group(
    text: str, texts: dict[int, str], processes: dict[int, Process], tree: dict[int, list[int]]
) -> Group:
    """Return the group of one mark."""
    marked = {pid for pid, own in texts.items() if own == text}
    # A session whose leader lives without our mark is somebody's terminal: only the marked
    # processes in it are ours.
    sessions = {processes[pid].session for pid in marked}
    sessions = {leader for leader in sessions if leader in marked or leader not in processes}
    beside = {pid for pid, one in processes.items() if one.session in sessions and pid not in texts}
    members = {
        pid for pid in procfs.descendants(marked | beside, tree) if texts.get(pid, text) == text
    }
    by_age = sorted((processes[pid] for pid in marked), key=lambda one: (one.start, one.pid))
    leaders = [one for one in by_age if one.pid == one.session]
    mark = procfs.parse_mark(text) or {}
    return Group(mark, (leaders or by_age)[0], bool(leaders), members)


def units(pids: Iterable[int] | None = None, directory: str | None = None) -> list[dict[str, Any]]:
    """Return the units as values of the model.

    `pids` limits the look to these leaders and their descendants.

    With a `directory`, units that were started from another one, and so are another controller's,
    are left out.
    """
    found = _found(pids)
    return _described([group for group in found if directory is None or _is_from(directory, group)])


def _is_from(directory: str, group: Group) -> bool:
    return any(procfs.works_in(pid, directory) for pid in (group.first.pid, *group.members))


def _found(pids: Iterable[int] | None) -> list[Group]:
    process.reap()
    if pids is None:
        return groups(procfs.living())
    wanted = set(pids)
    quick = [_quick(pid) for pid in sorted(wanted)]
    if all(group is not None for group in quick):
        return [group for group in quick if group is not None]
    processes = procfs.living()
    sessions = {one.pid: one.session for one in processes.values()}
    return [
        group
        for group in groups(processes)
        if wanted & (group.members | {group.first.pid} | {sessions[pid] for pid in group.members})
    ]


def _quick(pid: int) -> Group | None:
    """Return the group of a living leader without looking at other processes, None when it is not one."""
    one, text = procfs.process(pid), procfs.mark_text(pid)
    mark = procfs.parse_mark(text) if text is not None else None
    if one is None or mark is None or not one.alive or one.session != pid:
        return None
    return Group(mark, one, True, {pid, *procfs.offspring(pid)})


def _described(found: Iterable[Group]) -> list[dict[str, Any]]:
    """Return groups as values of the model, without those that ended meanwhile."""
    now, wall = time.clock_gettime(time.CLOCK_BOOTTIME), time.time()
    answers = []
    for group in found:
        identity = process.identity(group.first.pid)
        if identity is None or identity["start"] != group.first.start:
            continue
        uptime = max(0.0, now - group.first.start / procfs.ticks())
        answers.append(
            {
                "identity": identity,
                "mark": group.mark,
                "members": sorted(group.members),
                "uptime": uptime,
                # The end of its first tick: what was written just before the start must not seem to
                # be newer than it.
                "started_at": wall - uptime + 1 / procfs.ticks(),
                "leader": group.leader,
            }
        )
    return answers
