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
    """Find every group among living processes."""
    texts = _marks(processes)
    tree = procfs.children(processes)
    return [_group(text, texts, processes, tree) for text in sorted(set(texts.values()))]


def _marks(processes: Iterable[int]) -> dict[int, str]:
    found = ((pid, procfs.mark_text(pid)) for pid in processes)
    return {pid: text for pid, text in found if text is not None}


def _group(
    text: str, texts: dict[int, str], processes: dict[int, Process], tree: dict[int, list[int]]
) -> Group:
    """Gather the group of one mark."""
    marked = {pid for pid, own in texts.items() if own == text}
    beside = _beside(marked, processes) - texts.keys()
    below = procfs.descendants(marked | beside, tree)
    members = {pid for pid in below if texts.get(pid, text) == text}
    first = _first([processes[pid] for pid in marked])
    return Group(procfs.parse_mark(text) or {}, first, _leads(first), members)


def _first(marked: list[Process]) -> Process:
    """Find the oldest process that leads a session, or the oldest where none does."""
    return min(marked, key=lambda one: (not _leads(one), one.start, one.pid))


def _leads(one: Process) -> bool:
    return one.pid == one.session


def _beside(marked: set[int], processes: dict[int, Process]) -> set[int]:
    """Find what runs in the sessions of marked processes."""
    sessions = {processes[pid].session for pid in marked}
    # A session whose leader lives without our mark is a person's terminal: only the marked
    # processes in it are ours.
    ours = sessions - (processes.keys() - marked)
    return {pid for pid, one in processes.items() if one.session in ours}


def processes(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Answer which units run that no service keeps."""
    found = units(request.get("pids"), directory)
    return {"units": [unit for unit in found if "service" not in unit["mark"]]}


def services(_: dict[str, Any], directory: str) -> dict[str, Any]:
    """Answer which units run that a service keeps, each with whose systemd does, its `scope`."""
    found = (unit for unit in units(directory=directory) if "service" in unit["mark"])
    return {"units": [_apart(unit) for unit in found]}


def _apart(unit: dict[str, Any]) -> dict[str, Any]:
    mark = dict(unit["mark"])
    return {"scope": mark.pop("service"), "unit": {**unit, "mark": mark}}


def units(pids: Iterable[int] | None = None, directory: str | None = None) -> list[dict[str, Any]]:
    """Describe the units as values of the model.

    `pids` limits the look to these leaders and their descendants. With a `directory`, units that
    were started from another one, and so are another controller's, are left out.
    """
    found = _found(pids)
    if directory is not None:
        found = [group for group in found if _is_from(directory, group)]
    return _described(found)


def _is_from(directory: str, group: Group) -> bool:
    return any(procfs.works_in(pid, directory) for pid in (group.first.pid, *group.members))


def _found(pids: Iterable[int] | None) -> list[Group]:
    process.reap()
    if pids is None:
        return groups(procfs.living())
    wanted = set(pids)
    # Mostly all of them live and lead, and nothing else has to be read: this is polled.
    quick = [group for group in map(_quick, sorted(wanted)) if group is not None]
    return quick if len(quick) == len(wanted) else _touching(wanted)


def _touching(wanted: set[int]) -> list[Group]:
    """Find the groups that these pids belong to or lead, also those whose leader is gone."""
    processes = procfs.living()
    return [group for group in groups(processes) if wanted & _pids(group, processes)]


def _pids(group: Group, processes: dict[int, Process]) -> set[int]:
    sessions = {processes[pid].session for pid in group.members}
    return group.members | sessions | {group.first.pid}


def _quick(pid: int) -> Group | None:
    """Find the group of a living leader, None when it is not one, asking no other process."""
    one, text = procfs.alive(pid), procfs.mark_text(pid)
    mark = procfs.parse_mark(text) if text else None
    if one is None or mark is None or not _leads(one):
        return None
    return Group(mark, one, True, {pid, *procfs.offspring(pid)})


def _described(found: Iterable[Group]) -> list[dict[str, Any]]:
    """Describe groups as values of the model, without those that ended meanwhile."""
    seen = [(group, process.identity(group.first.pid)) for group in found]
    return [{"identity": one, **_unit(group)} for group, one in seen if _is_same(group, one)]


def _is_same(group: Group, identity: dict[str, Any] | None) -> bool:
    """Whether the pid of a group's first process is still that process."""
    return identity is not None and identity["start"] == group.first.start


def _unit(group: Group) -> dict[str, Any]:
    uptime = max(0.0, procfs.age(group.first))
    return {
        "mark": group.mark,
        "members": sorted(group.members),
        "uptime": uptime,
        # The end of its first tick: what was written just before the start must not seem to be
        # newer than it.
        "started_at": time.time() - uptime + 1 / procfs.ticks(),
        "leader": group.leader,
    }
