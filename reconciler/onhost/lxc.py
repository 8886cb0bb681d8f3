"""Containers of LXC that exist already: seen as LXC tells, started and ended by their keeper.

They are told apart by when their init started. What runs of one is all that is in its control
group; its restarts and its way to end are its own.
"""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING, Any

from reconciler.onhost import commands, files, groups, lxc_files, lxc_words, ports, process, procfs
from reconciler.onhost.problem import NO_OBJECTION, HostProblem, Objection

if TYPE_CHECKING:
    from reconciler.onhost.lxc_files import LxcFile
    from reconciler.onhost.lxc_words import Keeper
    from reconciler.onhost.procfs import Process

SECONDS = 10.0
START_SECONDS = 50.0
"""How long a start may take that its keeper carries out itself."""

SETTLE_SECONDS = 0.2
LOG_LIMIT = 64 * 1024

PAUSE = 0.02
_STOPPED, _FROZEN = "STOPPED", "FROZEN"
_FOLDER = "lxc"


class Unreadable(HostProblem):
    """LXC cannot read how a container is made, and nothing of it runs."""


def look(one: dict[str, str]) -> dict[str, Any]:
    """Answer whether a container could be started, and what runs of it."""
    keeper = lxc_words.keeper(one)
    file = file_of(keeper)
    barred = _barred(keeper, file, one)
    try:
        unit = _unit(keeper, file) if file else None
    except Unreadable as problem:
        unit, barred = None, Objection(str(problem), f"correct {keeper.file}")
    modified_ns = file.modified_ns if file else 0
    binary = {
        "path": keeper.name,
        "problem": barred.parts,
        "modified_ns": modified_ns,
        "autostart": autostart(keeper, file).parts if file else NO_OBJECTION.parts,
    }
    return {"binary": binary, "unit": unit}


def autostart(keeper: Keeper, file: LxcFile) -> Objection:
    """Tell that a container is started when its host boots, and what ends that; "" if it is not."""
    if not file.autostarts:
        return NO_OBJECTION
    return Objection(f"{keeper.what} is started at boot", keeper.letting_be)


def refuse_frozen(keeper: Keeper) -> None:
    """Raise HostProblem for a container in which nothing answers until it goes on."""
    if _state(keeper)[0] == _FROZEN:
        raise HostProblem(f"{keeper.what} is frozen; `lxc-unfreeze -n {keeper.name}` lets it go on")


def start(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Start a container and answer its identity; raise HostProblem where it is over at once."""
    keeper = lxc_words.keeper(request)
    file = file_of(keeper)
    problem = _barred(keeper, file, request)
    if file is None or problem:
        raise HostProblem(problem)
    _note_log(keeper, file, directory)
    errors = _errors(keeper, file, directory)
    logging = [*keeper.logging, errors] if errors else []
    done = _run([*keeper.start, *logging], START_SECONDS)
    started = _started(keeper)
    if started is None:
        said = lxc_words.first_error(procfs.text(errors, LOG_LIMIT))
        why = (said or done.said) if done.code else "it is over already"
        raise HostProblem(f"{keeper.what} did not start: {why}; {keeper.aloud} says more")
    ports.expect(started["pid"])
    return {"identity": started, "at": time.time()}


def _errors(keeper: Keeper, file: LxcFile, directory: str) -> str:
    """Make a new log for a start, "" where it takes none, or the container has one of its own."""
    if not keeper.logging or file.value("lxc.log.file"):
        return ""
    path = _own(keeper, directory, "errors")
    files.write_durably(path, b"")
    return path


def _started(keeper: Keeper) -> dict[str, Any] | None:
    deadline = time.monotonic() + _settle(keeper)
    while True:
        one = init_of(keeper)
        if one is not None or time.monotonic() >= deadline:
            return one
        time.sleep(PAUSE)


def stop(request: dict[str, Any], _: str) -> dict[str, Any]:
    """End a container if it still is the run that is meant."""
    keeper, began = lxc_words.keeper(request), time.monotonic()
    one = init_of(keeper)
    is_meant = one is not None and one["invocation"] == request["identity"]["invocation"]
    # Its keeper refuses both ways to end it until then.
    locked = _locked(keeper, file_of(keeper)) if is_meant else NO_OBJECTION
    if locked:
        raise HostProblem(locked)
    rungs = _ended(keeper, one["pid"], request) if one and is_meant else []
    return {"gone": True, "rungs": rungs, "exit_code": None, "seconds": time.monotonic() - began}


def _ended(keeper: Keeper, pid: int, request: dict[str, Any]) -> list[str]:
    """Stop a container, kill it when that is not enough, and tell which of both it took."""
    grace, kill = math.ceil(request["grace"]), float(request["kill"])
    inside = [one for one in map(procfs.alive, _members(pid)) if one]
    settle = _settle(keeper)
    # What its keeper says decides nothing: it may refuse, or only pass the request on.
    _run([*keeper.shutdown, str(grace)], grace + kill)
    if _is_gone_within(settle, keeper, inside):
        return ["term"]
    done = _run(keeper.kill, kill)
    if _is_gone_within(max(kill, settle), keeper, inside):
        return ["term", "kill"]
    why = _locked(keeper, file_of(keeper)) or done.said
    raise HostProblem(f"{keeper.what} is still there {kill:g} s after its end was asked for: {why}")


def _settle(keeper: Keeper) -> float:
    """For how long it may not show yet that a keeper has done what it was told."""
    return lxc_words.HA_SECONDS if keeper.is_requested else SETTLE_SECONDS


def _is_gone_within(seconds: float, keeper: Keeper, inside: list[Process]) -> bool:
    deadline = time.monotonic() + seconds
    while not _is_gone(keeper, inside):
        if time.monotonic() >= deadline:
            return False
        time.sleep(PAUSE)
    return True


def _is_gone(keeper: Keeper, inside: list[Process]) -> bool:
    """Whether a container has stopped, and nothing lives of what was in it."""
    return _state(keeper)[0] == _STOPPED and not any(map(procfs.lives, inside))


def log(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Answer the last lines of a container's console since its newest start, and their `end`.

    After an earlier end, the lines since. A start that this program did not make is not known.
    """
    keeper, after = lxc_words.keeper(request), request.get("after", "")
    file = file_of(keeper)
    if file is None:
        return {"lines": [], "end": after}
    if not file.console:
        raise HostProblem(
            f"what {keeper.what} writes to its console is kept nowhere; name a file for it with"
            f" lxc.console.logfile in {file.path}"
        )
    noted = procfs.text(os.path.join(directory, _FOLDER, keeper.name, "begun"))
    return files.tail(file.console, int(request["lines"]), after or noted)


def _note_log(keeper: Keeper, file: LxcFile, directory: str) -> None:
    """Remember where a container's console ended before its start."""
    # It goes on where it was, and nothing in it tells one start from the next.
    if file.console:
        ended = files.tail(file.console, 0)["end"]
        files.write_durably(_own(keeper, directory, "begun"), ended.encode())


def _own(keeper: Keeper, directory: str, name: str) -> str:
    """Name a file that this program keeps about a container, in a folder that is there."""
    folder = os.path.join(directory, _FOLDER, keeper.name)
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, name)


def file_of(keeper: Keeper) -> LxcFile | None:
    """Read a container's file, None where there is no such container; raise HostProblem."""
    if os.geteuid() != 0:
        raise HostProblem(
            f"the containers of LXC are root's, and this account is {procfs.account(os.geteuid())};"
            " run reconciler as root, or let its `access` log in there as root"
        )
    return lxc_files.read(keeper.file)


def _barred(keeper: Keeper, file: LxcFile | None, one: dict[str, Any]) -> Objection:
    """Tell in words why a container is not started, "" when it would be tried."""
    if file is None:
        fix = f"{keeper.listing} shows what there is, or name another with {keeper.option}:"
        return Objection(f"there is no {keeper.what} here ({keeper.file})", fix)
    locked = _locked(keeper, file)
    if locked:
        return locked
    if file.is_template:
        return Objection(
            f"{keeper.what} is a template", f"`pct clone {keeper.name}` makes a CT of it"
        )
    if file.network and one["network"] == "host":
        return Objection(
            f"{keeper.what} is not on the host's network but on its own ({file.network})",
            f"write `network: own` beside its launcher, or give it {keeper.on_host} in {file.path}",
        )
    if not file.network and one["network"] == "own":
        return Objection(f"{keeper.what} is on the host's network", "leave `network: own` out")
    return NO_OBJECTION


def _locked(keeper: Keeper, file: LxcFile | None) -> Objection:
    """Tell in words what Proxmox VE does with a container meanwhile, "" for nothing."""
    lock = file.value("lock") if file else ""
    # One whose file system is mounted on its node is started and stopped all the same.
    if lock in ("", "mounted"):
        return NO_OBJECTION
    fix = f"wait for it, or `pct unlock {keeper.name}`"
    return Objection(f"{keeper.what} is locked ({lock})", fix)


def _unit(keeper: Keeper, file: LxcFile) -> dict[str, Any] | None:
    """Describe what runs of a container, None when it has stopped."""
    one = init_of(keeper)
    if one is None:
        return None
    return {
        "identity": one,
        "members": sorted(_members(one["pid"])),
        "leader": True,
        "restarts": 0,
        "argv": procfs.argv(one["pid"]),
        "locked": _locked(keeper, file),
        **_times(procfs.process(one["pid"]), keeper, file),
    }


def _times(one: Process | None, keeper: Keeper, file: LxcFile) -> dict[str, Any]:
    """Tell since when a container's init runs, and whether it was changed since."""
    if one is None:
        return {"uptime": 0.0, "started_at": None}
    uptime = procfs.age(one)
    # The end of its first tick: what was written just before the start must not seem newer.
    started_at = time.time() - uptime + 1 / procfs.ticks()
    # Proxmox VE writes to its file whenever it locks a container, and knows what is not in force.
    is_newer = file.modified_ns / 1e9 > started_at
    outdated = file.is_pending if keeper.is_proxmox else is_newer
    return {"uptime": max(0.0, uptime), "started_at": started_at, "outdated": outdated}


def init_of(keeper: Keeper) -> dict[str, Any] | None:
    """Identify a container's init, None where none runs."""
    pid = _state(keeper)[1]
    one = process.identity(pid) if pid > 1 else None
    return {**one, "invocation": f"{keeper.name}@{one['start']}"} if one else None


def _members(pid: int) -> set[int]:
    """List what runs beside a container's init, whatever control groups it has made inside."""
    return groups.below(lxc_words.group(pid)) | {pid}


def init_pid(name: str) -> int:
    """Find the pid of a container's init, 0 where none runs."""
    return _told(name, f"container {name}")[1]


def addresses(name: str) -> list[str]:
    """List the addresses that a running container has in its own network."""
    return _run(["lxc-info", "-n", name, "-i", "-H"], SECONDS).out.split()


def _state(keeper: Keeper) -> tuple[str, int]:
    """Ask LXC for the state of a container, and for the pid of its init, 0 where none runs."""
    # One that Proxmox VE has never started is not LXC's yet.
    if not os.path.exists(keeper.own):
        return _STOPPED, 0
    return _told(keeper.name, keeper.what)


def _told(name: str, what: str) -> tuple[str, int]:
    done = _run(["lxc-info", "-n", name, "-s", "-p"], SECONDS)
    told = dict(line.split(":", 1) for line in done.out.splitlines() if ":" in line)
    if "State" not in told:
        kind = HostProblem if lxc_words.is_monitored(name) else Unreadable
        raise kind(f"lxc-info does not tell of {what}: {done.said}")
    return told["State"].strip(), int(told.get("PID", 0))


def _run(argv: list[str], seconds: float) -> commands.Ended:
    try:
        return commands.run(argv, seconds)
    except FileNotFoundError:
        raise HostProblem(lxc_words.missing(argv[0])) from None
    except commands.Late:
        said = f"`{' '.join(argv)}` did not end within {seconds:g} s"
        return commands.Ended(-1, "", said)
