"""Systemd services that exist already: seen, started and ended through systemctl.

They are told apart by their invocation. Their command line, their restarts and their way to end are
their own; what runs is all that is in their control group.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from reconciler.onhost import (
    containers,
    groups,
    inner_systemd,
    ports,
    process,
    procfs,
    properties,
    results,
    systemctl,
)
from reconciler.onhost.problem import NO_OBJECTION, HostProblem, Objection

if TYPE_CHECKING:
    from reconciler.onhost.properties import State

START_SECONDS = 50.0
"""How long a start may show no main process: less than its caller waits, which would otherwise say
only that nothing answered."""

PAUSE = 0.02

_BETWEEN_TRIES = ("auto-restart", "auto-restart-queued")
OVER = ("inactive", "failed")
_WAITS = {
    "condition": "its ExecCondition= still runs",
    "start-pre": "its ExecStartPre= still runs",
    "start": "its ExecStart= has not left a main process yet",
    "dead": "other units have to start or stop first (`systemctl list-jobs`)",
}
"""What keeps a service from having a main process, by the state that it is in meanwhile."""

_GENERATED = "/run/"


def services(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer for each service whether it could be started, and what runs of it."""
    wanted = request["services"]
    seen = {scope: _of_scope(wanted, scope) for scope in ("system", "user")}
    return {"services": [seen[one["scope"]][one["name"]] for one in wanted]}


def _of_scope(wanted: list[dict[str, str]], scope: str) -> dict[str, dict[str, Any]]:
    names = [one["name"] for one in wanted if one["scope"] == scope]
    silent = systemctl.silence(scope) if names else NO_OBJECTION
    if silent:
        return {name: _unseen(name, silent) for name in names}
    states = systemctl.states(names, scope)
    return {name: _service(name, scope, state) for name, state in zip(names, states)}


def _unseen(name: str, why: Objection) -> dict[str, Any]:
    return {"binary": {"path": name, "problem": why.parts}, "unit": None}


def look(name: str, scope: str) -> dict[str, Any]:
    """Answer whether one service could be started, and what runs of it."""
    return _service(name, scope, systemctl.shown(name, scope))


def _service(name: str, scope: str, state: State) -> dict[str, Any]:
    unit = _unit(name, scope, state)
    # Only of one that failed: it costs a question for each program beside it.
    if unit is not None and state["SubState"] in (*_BETWEEN_TRIES, "failed"):
        unit["ended"] = results.ending(state, _controls(name, scope))
    return {"binary": _binary(name, scope, state), "unit": unit}


def start(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Start a service and answer its identity as soon as its main process runs, ready or not."""
    name, scope = request["name"], request["scope"]
    barred = Objection(**_binary(name, scope, systemctl.shown(name, scope))["problem"])
    if barred:
        raise HostProblem(barred)
    # A service that failed too often before would be refused at its limit (StartLimitBurst=).
    systemctl.order(scope, "reset-failed", name, may_fail=True)
    systemctl.order(scope, "start", "--no-block", name)
    started = _started(name, scope)
    ports.expect(started["pid"])
    return {"identity": started, "at": time.time()}


def _started(name: str, scope: str) -> dict[str, Any]:
    """Wait for a main process; raise HostProblem when the start fails, or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        state = systemctl.shown(name, scope)
        one = _main(state)
        if one is not None:
            return one
        _refuse_failed(name, scope, state)
        _refuse_headless(name, scope, state)
        if time.monotonic() >= deadline:
            waits = _WAITS.get(state["SubState"], f"it is {state['SubState']}")
            raise HostProblem(f"{name} is waited for: {waits}, after {START_SECONDS:g} s")
        time.sleep(PAUSE)


def _refuse_failed(name: str, scope: str, state: State) -> None:
    """Raise HostProblem for a start that is over, with how it ended."""
    # One that waits for other units is inactive too, and has a job.
    is_over = state["ActiveState"] in OVER and not _is_waiting(state)
    if is_over or state["SubState"] in _BETWEEN_TRIES:
        why = results.ending(state, _controls(name, scope), " before it served")
        raise HostProblem(f"{name} did not start: {why}; {systemctl.status(name, scope)} says more")


def _refuse_headless(name: str, scope: str, state: State) -> None:
    """Raise HostProblem for a service that has started without a process to know it by."""
    if state["ActiveState"] == "active" and state["MainPID"] == "0":
        raise HostProblem(
            f"{name} has started, and systemd knows no main process of it; let its program stay"
            " (Type=exec), or name the one that it leaves with PIDFile=;"
            f" {systemctl.status(name, scope)} says more"
        )


def stop(request: dict[str, Any], _: str) -> dict[str, Any]:
    """End a service and all that belongs to it, if it still is the invocation meant."""
    name, scope, began = request["name"], request["scope"], time.monotonic()
    state = systemctl.shown(name, scope)
    is_meant = _is_of(request["identity"], state)
    rungs = _ended(name, scope, request, state) if is_meant and not _is_gone(state) else []
    return {"gone": True, "rungs": rungs, "exit_code": None, "seconds": time.monotonic() - began}


def is_over(state: State) -> bool:
    """Whether a service's newest run is over, also where systemd will start it again."""
    return state["ActiveState"] in OVER or state["SubState"] in _BETWEEN_TRIES


def _is_of(identity: dict[str, Any], state: State) -> bool:
    """Whether this run of a service is the one that is meant, or has the process that is."""
    if identity["invocation"]:
        return bool(state["InvocationID"] == identity["invocation"])
    with process.holding(identity) as leader:
        return leader is not None and identity["pid"] in groups.below(state["ControlGroup"])


def _beyond(state: State) -> list[dict[str, Any]]:
    """Identify what belongs to a service and is not in its control group, as in a container."""
    pids = {*_offspring(_main(state))} - groups.below(state["ControlGroup"])
    return [one for one in map(process.identity, pids) if one]


def _ended(name: str, scope: str, request: dict[str, Any], state: State) -> list[str]:
    """Stop a service, kill it when it does not obey in time, and tell which of both it took."""
    beyond, run = _beyond(state), state["InvocationID"]
    # Without a wait of systemctl's own: it would go on until the unit's TimeoutStopSec=.
    systemctl.order(scope, "stop", "--no-block", name)
    if _is_gone_within(float(request["grace"]), name, scope, run, beyond):
        return ["term"]
    systemctl.order(scope, "kill", "--kill-whom=all", "--signal=KILL", name, may_fail=True)
    # Systemd signals its control group alone.
    for one in beyond:
        process.kill(one)
    if _is_gone_within(float(request["kill"]), name, scope, run, beyond):
        return ["term", "kill"]
    more = f"{systemctl.status(name, scope)} says more"
    raise HostProblem(f"{name} is still there {request['kill']:g} s after SIGKILL; {more}")


def _is_gone_within(
    seconds: float, name: str, scope: str, run: str, beyond: list[dict[str, Any]]
) -> bool:
    """Whether a run of a service is gone in time; raise HostProblem where another has begun."""
    deadline = time.monotonic() + seconds
    while True:
        state = systemctl.shown(name, scope)
        if _is_gone(state) and not any(map(process.lives, beyond)):
            return True
        if state["InvocationID"] not in (run, ""):
            who = _returns(name, scope, state) or f"{systemctl.status(name, scope)} says more"
            raise HostProblem(f"{name} was stopped, and something has started it again; {who}")
        if time.monotonic() >= deadline:
            return False
        time.sleep(PAUSE)


def _binary(name: str, scope: str, state: State) -> dict[str, Any]:
    """Describe a service's program, as new as its newest file, and why it cannot be started."""
    path, barred = properties.program(state), _barred(name, scope, state)
    answer = {
        "path": path or name,
        "problem": barred.parts,
        "size": 0,
        "modified_ns": _modified_ns(state),
        "key": properties.key_source(state),
        "autostart": _autostart(name, scope, state).parts,
    }
    # The links of a container's files lead elsewhere from here.
    is_here = properties.sees_its_host(path, state) and not inner_systemd.container(scope)
    is_hidden = barred or not is_here
    return answer if is_hidden else {**answer, **_looked_at(path, name, state)}


def _autostart(name: str, scope: str, state: State) -> Objection:
    """Tell that a service is started when its systemd is, and what ends that; "" if it is not."""
    if state["UnitFileState"] != "enabled":
        return NO_OBJECTION
    when = "with the systemd of its user" if scope == "user" else "at boot"
    return Objection(f"{name} is started {when}", systemctl.typed(scope, "disable", name))


def _looked_at(path: str, name: str, state: State) -> dict[str, Any]:
    """Describe the file that a service runs, as far as this account can see it."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return {"problem": Objection(f"there is no program {path}, which {name} runs").parts}
    except OSError:
        # Another user's place: systemd may look there, and says at the start what is wrong.
        return {}
    modified_ns = max(status.st_mtime_ns, _modified_ns(state))
    return {"size": status.st_size, "modified_ns": modified_ns}


def _barred(name: str, scope: str, state: State) -> Objection:
    """Tell in words why systemd would not start a service, "" when it would try."""
    if state["LoadState"] == "not-found":
        inside = inner_systemd.container(scope)
        whose, option = (f"container {inside}", "service") if inside else (f"the {scope}", "unit")
        fix = f"write it, or name another with {option}:"
        return Objection(f"there is no service {name} in {whose}'s systemd", fix)
    if state["LoadState"] == "masked":
        unmask = systemctl.typed(scope, "unmask", name)
        return Objection(f"{name} is masked", f"{unmask} lets it start")
    if state["LoadState"] != "loaded":
        more = f"{systemctl.status(name, scope)} says why"
        return Objection(f"{name} is {state['LoadState']}", more)
    # It would start what the file said before.
    if state["NeedDaemonReload"] == "yes":
        reload = systemctl.typed(scope, "daemon-reload")
        unread = f"the file of {name} changed and systemd has not read it yet"
        return Objection(unread, f"run {reload}")
    missing = properties.missing_environment(state)
    if missing:
        fix = f"write it, or `EnvironmentFile=-{missing}` if it may be missing"
        return Objection(f"{name} reads {missing}, its EnvironmentFile=, which is not there", fix)
    if not properties.program(state):
        return Objection(f"{name} has no ExecStart=: it runs nothing")
    if (state["Type"], state["RemainAfterExit"]) == ("oneshot", "yes"):
        found = f"{name} has no process once it has started (Type=oneshot, RemainAfterExit=yes)"
        fix = "let the model be what it starts, such as a container with `launcher: docker`"
        return Objection(found, fix)
    return NO_OBJECTION


def _unit(name: str, scope: str, state: State) -> dict[str, Any] | None:
    """Describe what runs of a service; None when nothing does and systemd will not start it."""
    if _is_gone(state):
        return None
    main = _main(state)
    return {
        "identity": main or _no_process(state),
        # A container's processes may have a control group of their own.
        "members": sorted(groups.below(state["ControlGroup"]).union(_offspring(main))),
        "leader": main is not None or _is_starting(state),
        "restarts": int(state["NRestarts"] or 0),
        "argv": procfs.argv(main["pid"]) if main else [],
        "returns": _returns(name, scope, state),
        **_times(procfs.process(main["pid"]) if main else None, state),
    }


def _returns(name: str, scope: str, state: State) -> str:
    """Tell which units start a service again after it was stopped, "" for none."""
    others = properties.words(state["UpheldBy"]) + properties.words(state["TriggeredBy"])
    if not others:
        return ""
    ending = systemctl.typed(scope, "stop", *others)
    return f"{', '.join(others)} may start {name} again; {ending} lets it stay down"


def _offspring(main: dict[str, Any] | None) -> list[int]:
    """List what the main process started, also as a client that waits for a container."""
    return [*procfs.offspring(main["pid"]), *containers.run_by(main["pid"])] if main else []


def _is_starting(state: State) -> bool:
    return state["ActiveState"] == "activating" and state["SubState"] not in _BETWEEN_TRIES


def _no_process(state: State) -> dict[str, Any]:
    """Make the identity of a service that has no main process at this moment."""
    none = {"pid": 0, "start": 0, "inode": 0, "boot_id": procfs.boot_id()}
    return {**none, "invocation": state["InvocationID"]}


def _times(one: procfs.Process | None, state: State) -> dict[str, Any]:
    """Tell since when the main process runs, and whether its service was written to since."""
    if one is None:
        return {"uptime": 0.0, "started_at": None, "outdated": False}
    uptime = procfs.age(one)
    # The end of its first tick: what was written just before the start must not seem newer.
    started_at = time.time() - uptime + 1 / procfs.ticks()
    is_unread = state["NeedDaemonReload"] == "yes"
    outdated = is_unread or _modified_ns(state) / 1e9 > started_at
    return {"uptime": max(0.0, uptime), "started_at": started_at, "outdated": outdated}


def _main(state: State) -> dict[str, Any] | None:
    """Identify a service's main process, None when it has none."""
    # Any process of such a service may still say which one it is, as conmon does for podman.
    is_open = state["NotifyAccess"] == "all" and state["ActiveState"] == "activating"
    pid = 0 if is_open else int(state["MainPID"] or 0)
    one = process.identity(pid) if pid > 1 else None
    return {**one, "invocation": state["InvocationID"]} if one else None


def _is_gone(state: State) -> bool:
    """Whether nothing of a service runs and systemd will not start it again by itself."""
    return (
        state["ActiveState"] in (*OVER, "")
        and not _is_waiting(state)
        and not groups.below(state["ControlGroup"])
    )


def _is_waiting(state: State) -> bool:
    return state["Job"] not in {"", "0"}


def _controls(name: str, scope: str) -> dict[str, str]:
    """Read what systemd shows of the programs beside a service's own."""
    # Each is asked about alone: their words may hold any text, also what looks like a property.
    return {
        control: systemctl.show(scope, [control], [name], may_fail=True)
        for control in results.CONTROLS
    }


def _modified_ns(state: State) -> int:
    """Find when a file of a service that a person writes was last changed."""
    files = properties.written_by_hand(state)
    # Those under /run are generated again at every reload, so their age says nothing.
    written = [file for file in files if not file.startswith(_GENERATED)]
    return max((os.stat(file).st_mtime_ns for file in written), default=0)
