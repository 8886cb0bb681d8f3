"""Services that systemd keeps for us: transient units, made to start a program (seen with 252).

What runs in one is told from its mark, as a process is; its environment passes through a file, as
anybody may ask systemd for the variables of a unit.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from typing import TYPE_CHECKING, Any

from reconciler.onhost import commands, ports, process, procfs, systemctl
from reconciler.onhost.problem import NO_OBJECTION, HostProblem, Objection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.onhost.properties import State

STOP_SECONDS = 10
"""How long it may take to end when its host goes down. A stop of ours sends KILL sooner."""

_USERS = "/run/systemd/users"
_LINGERING = "/var/lib/systemd/linger"
_QUOTED = re.compile(r'(["\\$`])')


def name(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Answer why no service of ours can have a name, "" where one can."""
    return {"problem": _barred(request, directory).parts}


def _barred(request: dict[str, Any], directory: str) -> Objection:
    wanted, scope = request["name"], request["scope"]
    barred = _ends_with_the_login(wanted) if scope == "user" else _may_not(wanted)
    return barred or _taken(request, systemctl.shown(wanted, scope), directory)


def _may_not(wanted: str) -> Objection:
    if os.geteuid() == 0:
        return NO_OBJECTION
    fix = "write `scope: user`, or reach the host as root"
    return Objection(f"only root can make {wanted} in the system's systemd", fix)


def _ends_with_the_login(wanted: str) -> Objection:
    """Tell that a user's systemd ends with the last login, where logind knows of the user."""
    user = procfs.account(os.geteuid())
    lingers = os.path.exists(f"{_LINGERING}/{user}")
    if lingers or not os.path.exists(f"{_USERS}/{os.geteuid()}"):
        return NO_OBJECTION
    fix = f"`loginctl enable-linger {user}` keeps that user's services"
    return Objection(f"{wanted} would end with the last login of {user}", fix)


def _taken(request: dict[str, Any], state: State, directory: str) -> Objection:
    """Tell what else has the name: a mask, a unit of somebody's, or a service of another."""
    wanted, scope = request["name"], request["scope"]
    if state["LoadState"] == "masked":
        unmask = systemctl.typed(scope, "unmask", wanted)
        return Objection(f"{wanted} is masked", f"{unmask} frees its name")
    if state["FragmentPath"] and state["Transient"] != "yes":
        found = f"there is a unit {wanted} already ({state['FragmentPath']}), which is not ours"
        return Objection(found, "rename it, or the model")
    pid = int(state["MainPID"] or 0)
    if pid and not _is_ours(pid, request["model"], directory):
        fix = f"{systemctl.typed(scope, 'stop', wanted)} ends it, or rename the model"
        return Objection(f"another {wanted} runs already (pid {pid})", fix)
    return NO_OBJECTION


def _is_ours(pid: int, model: str, directory: str) -> bool:
    text = procfs.mark_text(pid)
    mark = procfs.parse_mark(text) if text else None
    return mark is not None and mark["model"] == model and procfs.works_in(pid, directory)


def spawn(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Make a service, and answer the identity of its process, in which the program runs."""
    wanted, scope = request["name"], request["scope"]
    # One that failed is kept by its name until then.
    systemctl.order(scope, "reset-failed", wanted, may_fail=True)
    barred = _barred({**request, "model": request["mark"]["model"]}, directory)
    if barred:
        raise HostProblem(barred)
    place = process.prepared(request, directory)
    log = os.path.join(directory, request["log"])
    with process.fresh_log(log), _environment_file(request) as environment:
        argv = [*_service(wanted, scope), *_properties(place, log, environment, scope, request)]
        _run([*argv, "--", *_program(request)], wanted, scope)
    pid = int(systemctl.shown(wanted, scope)["MainPID"] or 0)
    started = process.identity(pid) if pid else None
    if started is None:
        raise HostProblem(f"{wanted} was gone before it could be identified")
    ports.expect(pid)
    return {"identity": started, "at": time.time()}


def _service(wanted: str, scope: str) -> list[str]:
    words = [f"--{scope}", "--no-ask-password", "--quiet", f"--unit={wanted}"]
    # It is started once the program runs, and its environment was read.
    return ["systemd-run", *words, "--service-type=exec"]


def _properties(
    place: str, log: str, environment: str, scope: str, request: dict[str, Any]
) -> list[str]:
    told = {
        "Description": f"{request['mark']['model']}, kept for reconciler",
        "WorkingDirectory": place,
        "EnvironmentFile": environment,
        "UnsetEnvironment": " ".join(_scrubbed(request, scope)),
        "StandardOutput": f"append:{log}",
        "StandardError": f"append:{log}",
        "UMask": "0077",
        "KillMode": "control-group",
        "TimeoutStopSec": f"{STOP_SECONDS}s",
        "Restart": "no",
    }
    return [f"--property={key}={value}" for key, value in told.items()]


def _scrubbed(request: dict[str, Any], scope: str) -> list[str]:
    """List the variables that systemd gives to all services, and that this must not see."""
    given = systemctl.variables(scope)
    passing = process.passing(given, tuple(request["scrub"]), request.get("keep", ()))
    return sorted(given.keys() - passing.keys() - request["env"].keys())


def _program(request: dict[str, Any]) -> list[str]:
    """Write a command line as systemd-run takes it: it replaces `$NAME`, and `$$` by one."""
    program, *rest = process.words(request)
    found = program if "/" in program else shutil.which(program) or program
    return [word.replace("$", "$$") for word in (found, *rest)]


@contextlib.contextmanager
def _environment_file(request: dict[str, Any]) -> Iterator[str]:
    """Write a unit's environment where systemd reads it once, in memory and for us alone."""
    scope = request["scope"]
    marked = {**request, "mark": {**request["mark"], "service": scope}}
    lines = [f"{key}={_value(text)}\n" for key, text in process.environment(marked).items()]
    folder = "/run" if scope == "system" else commands.runtime_directory()
    with tempfile.NamedTemporaryFile(dir=folder, prefix="reconciler-") as file:
        # One line that is not UTF-8 would make systemd refuse them all.
        file.writelines(line.encode() for line in lines if _is_text(line))
        file.flush()
        yield file.name


def _is_text(line: str) -> bool:
    """Whether it is UTF-8: what is not was read with surrogates in it."""
    return not any("\ud800" <= character <= "\udfff" for character in line)


def _value(text: str) -> str:
    """Write a value as systemd.exec(5) has it under EnvironmentFile=: nothing in it is replaced."""
    return '"' + _QUOTED.sub(r"\\\1", text) + '"'


def _run(argv: list[str], wanted: str, scope: str) -> None:
    try:
        systemctl.run(argv, scope)
    except HostProblem as problem:
        more = systemctl.status(wanted, scope)
        raise HostProblem(f"{wanted} did not start: {problem}; {more} says more") from None
