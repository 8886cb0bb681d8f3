"""Services of systemd that exist already: seen, started and ended through systemctl, told apart by their invocation.

Their command line, their restarts and their way to end are their own; what runs is all that is in
their control group.
"""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

from reconciler.onhost import ports, process, procfs, properties, results
from reconciler.onhost.problem import HostProblem

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.onhost.properties import State

SECONDS = 10.0
START_SECONDS = 50.0
"""How long a start may show no main process: less than whoever asks waits, who would else say only
that nobody answered."""

PAUSE = 0.02
LINE_LIMIT = 4096

_PROPERTIES = (
    "LoadState", "ActiveState", "SubState", "Job", "MainPID", "InvocationID", "NRestarts",
    "ControlGroup", "ExecStart", "FragmentPath", "DropInPaths", "EnvironmentFiles", "Environment",
    "NeedDaemonReload", *results.PROPERTIES,
)  # fmt: skip
_GROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")
_BETWEEN_TRIES = ("auto-restart", "auto-restart-queued")
_OVER = ("inactive", "failed")
_WAITS = {
    "condition": "its ExecCondition= still runs",
    "start-pre": "its ExecStartPre= still runs",
    "start": "its ExecStart= has not left a main process yet",
    "dead": "other units have to start or stop first (`systemctl list-jobs`)",
}
"""What keeps a service from having a main process, by the state that it is in meanwhile."""

_GENERATED = "/run/"
_CURSOR = "-- cursor: "


def services(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer for each service whether it could be started, and what runs of it."""
    answers = []
    for scope in ("system", "user"):
        names = [one["name"] for one in request["services"] if one["scope"] == scope]
        for name, state in zip(names, _states(names, scope)):
            unit = _unit(state)
            if unit is not None and state["SubState"] in (*_BETWEEN_TRIES, "failed"):
                unit["ended"] = results.ending(state, _controls(name, scope))
            answers.append(
                {"name": name, "scope": scope, "binary": _binary(name, scope, state), "unit": unit}
            )
    return {"services": answers}


def start(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Start a service and answer its identity as soon as its main process runs, ready or not."""
    name, scope = request["name"], request["scope"]
    problem = _binary(name, scope, _state(name, scope))["problem"]
    if problem:
        raise HostProblem(problem)
    _systemctl(scope, "reset-failed", name, may_fail=True)
    _systemctl(scope, "start", "--no-block", name)
    deadline = time.monotonic() + START_SECONDS
    while True:
        state = _state(name, scope)
        one = _main(state)
        if one is not None:
            ports.expect(one["pid"])
            return {"identity": one, "at": time.time()}
        ended = state["ActiveState"] in _OVER and not _waiting(state)
        if ended or state["SubState"] in _BETWEEN_TRIES:
            why = results.ending(state, _controls(name, scope), " before it served")
            raise HostProblem(f"{name} did not start: {why}; {_status(name, scope)} says more")
        if time.monotonic() >= deadline:
            waits = _WAITS.get(state["SubState"], f"it is {state['SubState']}")
            raise HostProblem(f"{name} is waited for: {waits}, after {START_SECONDS:g} s")
        time.sleep(PAUSE)


def stop(request: dict[str, Any], _: str) -> dict[str, Any]:
    """End a service and all that is in its control group, if it still is the invocation that is meant."""
    name, scope, began = request["name"], request["scope"], time.monotonic()
    rungs: list[str] = []
    state = _state(name, scope)
    if state["InvocationID"] == request["identity"]["invocation"] and not _gone(state):
        rungs.append("term")
        _systemctl(scope, "stop", "--no-block", name)
        if not _until(lambda: _gone(_state(name, scope)), float(request["grace"])):
            rungs.append("kill")
            _systemctl(scope, "kill", "--kill-whom=all", "--signal=KILL", name, may_fail=True)
            if not _until(lambda: _gone(_state(name, scope)), float(request["kill"])):
                raise HostProblem(
                    f"{name} is still there {request['kill']:g} s after SIGKILL;"
                    f" {_status(name, scope)} says more"
                )
    return {"gone": True, "rungs": rungs, "exit_code": None, "seconds": time.monotonic() - began}


def log(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer the last lines that the newest invocation of a service wrote to the journal, and the cursor they `end` at.

    Where that ended without a word, those of the one before; after an earlier end, the first lines
    since, of any.
    """
    name, scope, lines, end = (
        request["name"],
        request["scope"],
        int(request["lines"]),
        request.get("after", ""),
    )
    if end:
        return _journal(scope, lines, [f"--after-cursor={end}", *_of(name, scope)]) or {
            "lines": [],
            "end": end,
        }
    state = _state(name, scope)
    if not state["InvocationID"]:
        return {"lines": [], "end": ""}
    which = [f"_SYSTEMD_INVOCATION_ID={state['InvocationID']}"]
    if state["ActiveState"] in _OVER or state["SubState"] in _BETWEEN_TRIES:
        # What just ended may have written what journald has not read yet; not every account may ask
        # it to.
        _run(["journalctl", "--quiet", "--sync"], "system", may_fail=True)
        which = which if _journal(scope, 1, which) else _of(name, scope)
    return _journal(scope, lines, which) or {"lines": [], "end": ""}


def _journal(scope: str, lines: int, which: list[str]) -> dict[str, Any] | None:
    """Return the last lines of the journal that fit, None when none does."""
    argv = [
        "journalctl",
        "--quiet",
        "--no-pager",
        "--output=cat",
        "--show-cursor",
        f"--lines={lines}",
        *which,
    ]
    *written, cursor = _run(argv, scope).splitlines() or [""]
    return (
        {
            "lines": [line[:LINE_LIMIT] for line in written[-lines:]],
            "end": cursor.partition(_CURSOR)[2],
        }
        if written
        else None
    )


def _of(name: str, scope: str) -> list[str]:
    """Return what tells journalctl a service, whichever of its invocations wrote."""
    return (
        [f"_SYSTEMD_USER_UNIT={name}", f"_UID={os.getuid()}"]
        if scope == "user"
        else [f"_SYSTEMD_UNIT={name}"]
    )


def _binary(name: str, scope: str, state: State) -> dict[str, Any]:
    """Return the program of a service, as new as its newest file, and in words why it cannot be started."""
    path = properties.program(state)
    answer = {
        "path": path or name, "problem": "", "size": 0, "modified_ns": _modified_ns(state),
        "key": properties.key_source(state),
    }  # fmt: skip
    reload = "systemctl --user daemon-reload" if scope == "user" else "systemctl daemon-reload"
    if state["LoadState"] == "not-found":
        answer["problem"] = (
            f"there is no service {name} in the {scope}'s systemd; write it, or name another with"
            " unit:"
        )
    elif state["LoadState"] != "loaded":
        answer["problem"] = f"{name} is {state['LoadState']}; {_status(name, scope)} says why"
    elif state["NeedDaemonReload"] == "yes":
        answer["problem"] = (
            f"the file of {name} changed and systemd has not read it yet; run `{reload}`"
        )
    elif not path:
        answer["problem"] = f"{name} has no ExecStart=: it runs nothing"
    else:
        try:
            status = os.stat(path)
            answer.update(
                size=status.st_size, modified_ns=max(status.st_mtime_ns, _modified_ns(state))
            )
        except FileNotFoundError:
            answer["problem"] = f"there is no program {path}, which {name} runs"
        except OSError:
            # another user's place: systemd may look there, and says at the start what is wrong
            pass
    return answer


def _unit(state: State) -> dict[str, Any] | None:
    """Return what runs of a service, None when nothing does and systemd does not mean to start it again."""
    if _gone(state):
        return None
    main, wall = _main(state), time.time()
    one = procfs.process(main["pid"]) if main else None
    uptime = time.clock_gettime(time.CLOCK_BOOTTIME) - one.start / procfs.ticks() if one else 0.0
    nobody = {
        "pid": 0,
        "start": 0,
        "inode": 0,
        "boot_id": procfs.boot_id(),
        "invocation": state["InvocationID"],
    }
    starts = state["ActiveState"] == "activating" and state["SubState"] not in _BETWEEN_TRIES
    return {
        "identity": main or nobody,
        "members": sorted(_members(state)),
        "uptime": max(0.0, uptime),
        "started_at": wall - uptime + 1 / procfs.ticks() if one else None,
        "leader": main is not None or starts,
        "restarts": int(state["NRestarts"] or 0),
        "argv": procfs.argv(main["pid"]) if main else [],
        # Files under /run are written anew at every reload, so their age says nothing.
        "outdated": (
            one is not None and _modified_ns(state) / 1e9 > wall - uptime + 1 / procfs.ticks()
        ),
    }


def _main(state: State) -> dict[str, Any] | None:
    """Return the identity of a service's main process, None when it has none."""
    pid = int(state["MainPID"] or 0)
    one = process.identity(pid) if pid > 1 else None
    return {**one, "invocation": state["InvocationID"]} if one else None


def _gone(state: State) -> bool:
    """Return whether nothing of a service runs and systemd will not start it again by itself."""
    return state["ActiveState"] in (*_OVER, "") and not _waiting(state) and not _members(state)


def _waiting(state: State) -> bool:
    return state["Job"] not in {"", "0"}


def _controls(name: str, scope: str) -> dict[str, str]:
    """Return what systemd shows of the programs beside a service's own.

    Each is asked alone: their words may hold any text.
    """
    return {
        control: _systemctl(scope, "show", f"--property={control}", name, may_fail=True)
        for control in results.CONTROLS
    }


def _members(state: State) -> set[int]:
    """Return the processes in the control group of a service."""
    group = state["ControlGroup"]
    root = next(
        (root for root in _GROUPS if group not in {"", "/"} and os.path.isdir(root + group)), None
    )
    if root is None:
        return set()
    files = [os.path.join(folder, "cgroup.procs") for folder, _, _ in os.walk(root + group)]
    return {int(pid) for file in files for pid in procfs.read(file, 65536).split() if int(pid) > 1}


def _modified_ns(state: State) -> int:
    """Return when a file of a service that a person writes was last changed."""
    written = (
        file for file in properties.written_by_hand(state) if not file.startswith(_GENERATED)
    )
    return max((os.stat(file).st_mtime_ns for file in written), default=0)


def _until(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() >= deadline:
            return False
        time.sleep(PAUSE)
    return True


def _state(name: str, scope: str) -> State:
    return _states([name], scope)[0]


def _states(names: list[str], scope: str) -> list[State]:
    """Return the properties of services, in one question."""
    if not names:
        return []
    text = _systemctl(scope, "show", f"--property={','.join(_PROPERTIES)}", *names)
    told = properties.states(text, _PROPERTIES)
    if len(told) != len(names):
        raise HostProblem(
            f"systemd told of {len(told)} services where it was asked about {len(names)}"
        )
    return told


def _systemctl(scope: str, verb: str, *words: str, may_fail: bool = False) -> str:
    argv = [
        "systemctl",
        f"--{scope}",
        "--no-pager",
        "--no-ask-password",
        "--quiet",
        verb,
        *words[:-1],
        "--",
        words[-1],
    ]
    if verb == "show":
        argv = ["systemctl", f"--{scope}", "--no-pager", "show", *words]
    return _run(argv, scope, may_fail=may_fail)


def _run(argv: list[str], scope: str, *, may_fail: bool = False) -> str:
    """Run a program of systemd's and return what it said; raise HostProblem with its own words."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"}
    if scope == "user":
        environment.setdefault("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    try:
        # The words are ours, and the names were matched against a pattern.
        done = subprocess.run(  # noqa: S603
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            env=environment,
            check=False,
        )
    except FileNotFoundError:
        raise HostProblem(f"there is no {argv[0]} on this host: it does not run systemd") from None
    except subprocess.TimeoutExpired:
        raise HostProblem(f"`{' '.join(argv[:2])}` did not answer within {SECONDS:g} s") from None
    said = " ".join(done.stderr.decode("utf-8", "replace").split())
    # Where there is no line to show, journalctl has no cursor to show either, and fails without a
    # word.
    if done.returncode and not may_fail and (said or argv[0] != "journalctl"):
        raise HostProblem(f"{argv[0]} refused: {said or f'it ended with {done.returncode}'}")
    return done.stdout.decode("utf-8", "replace")


def _status(name: str, scope: str) -> str:
    return f"`systemctl --user status {name}`" if scope == "user" else f"`systemctl status {name}`"
