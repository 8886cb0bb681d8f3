"""Who and what stands in the way of sending this host down, and whether this user may.

Sessions and inhibitors are those of systemd-logind; where there is none, there are none. The
caller's own login is in nobody's way, nor is that of another controller of this kind. Source:
org.freedesktop.login1(5), busctl(1) and loginctl(1) of systemd 252; sudo(8) 1.9.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from typing import Any

from reconciler.onhost import procfs
from reconciler.onhost.problem import HostProblem

SECONDS = 5.0
VERBS = {"off": "poweroff", "suspend": "suspend"}
SLOW_SECONDS = 15.0
COMMAND_LIMIT = 64 * 1024
_CAN = {"off": "CanPowerOff", "suspend": "CanSuspend"}
_KINDS = {"off": "shutdown", "suspend": "sleep"}
_LOGIN = ["org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"]
_SESSION = ("Name", "Leader", "TTY", "Remote", "RemoteHost", "Class", "State", "Type")


def guards(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer who is logged in, what inhibits going down in this way (`off` or `suspend`), and why this user may not."""
    way = request["way"]
    return {
        "logins": _logins(),
        "inhibitors": _inhibitors(_KINDS[way]),
        "permission_problem": _barred(way),
    }


def send_down(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Ask systemd to send this host down; inhibitors and other people are heeded.

    A refusal is a HostProblem in its own words.

    Where it does not end in time, `doubt` says so: systemd may have heard.
    """
    way = request["way"]
    argv = _command(way) if _may(way) else _as_root(way)
    try:
        done = _run(argv, SLOW_SECONDS)
    except subprocess.TimeoutExpired:
        return {
            "command": argv,
            "doubt": f"`{' '.join(argv)}` did not end within {SLOW_SECONDS:g} s",
        }
    if done is None:
        raise HostProblem(f"there is no {argv[0]} on the PATH there")
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).decode("utf-8", "replace").split())
        raise HostProblem(
            f"`{' '.join(argv)}` was refused: {said or f'it ended with {done.returncode}'}"
        )
    return {"command": argv}


def _command(way: str) -> list[str]:
    return ["systemctl", "--check-inhibitors=yes", VERBS[way]]


def _may(way: str) -> bool:
    """Return whether this user may send the host down without becoming root."""
    return os.geteuid() == 0 or _asked(_CAN[way]) == "yes"


def _as_root(way: str) -> list[str]:
    """Return how root does it, after the check that is left out there: to root, this user's own login is another's."""
    reasons = [f"{one['user']} is logged in ({one['place']})" for one in _logins()]
    reasons += [f"{one['who']}: {one['why']}" for one in _inhibitors(_KINDS[way])]
    if reasons:
        raise HostProblem(f"it is kept up by {'; '.join(reasons)}")
    return ["sudo", "-n", *_sudo_command(way)]


def _sudo_command(way: str) -> list[str]:
    return ["systemctl", "--check-inhibitors=no", VERBS[way]]


def _barred(way: str) -> dict[str, str]:
    """Return why this user may not send the host down, and the remedy; both empty when it may."""
    if _asked(_CAN[way]) == "na":
        return {
            "found": f"its system cannot {way if way == 'suspend' else 'power it off'}",
            "fix": "",
        }
    if _may(way):
        return {"found": "", "fix": ""}
    command = _sudo_command(way)
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = _run(["sudo", "-n", "-l", *command], SECONDS)
        if done is not None and done.returncode == 0:
            return {"found": "", "fix": ""}
    rule = (
        f"{_name()} ALL=(root) NOPASSWD: /usr/bin/{' '.join(command).replace('=', chr(92) + '=')}"
    )
    fix = f"`sudo visudo -f /etc/sudoers.d/reconciler` with the line `{rule}` lets it"
    return {"found": f"{_name()} may not switch it off", "fix": fix}


def _name() -> str:
    with contextlib.suppress(KeyError):
        import pwd  # noqa: PLC0415 - only here

        return pwd.getpwuid(os.geteuid()).pw_name
    return str(os.geteuid())


def _asked(question: str) -> str:
    """Return what logind says to a question of whether something can be done, empty where it is not there."""
    told = _called(question)
    return str(told[0]) if told else ""


def _inhibitors(kind: str) -> list[dict[str, Any]]:
    """Return what blocks this way down; what only delays it is waited for by the system."""
    told = _called("ListInhibitors")
    found = []
    for what, who, why, mode, _, pid in told[0] if told else ():
        if kind in what.split(":") and mode.startswith("block"):
            found.append({"who": who, "why": why, "pid": pid})
    return found


def _logins() -> list[dict[str, str]]:
    """Return who is logged in as a person, except through the session that this process belongs to."""
    sessions = _called("ListSessions")
    found = []
    for session, *_ in sessions[0] if sessions else ():
        told = _session(session)
        if (
            told.get("Class") == "user"
            and told.get("State") != "closing"
            and not _is_ours(int(told.get("Leader") or 0))
        ):
            place = told.get("TTY") or told.get("Type") or "somewhere"
            host = f" from {told['RemoteHost']}" if told.get("RemoteHost") else ""
            found.append({"user": told.get("Name", "somebody"), "place": f"{place}{host}"})
    return found


def _session(session: str) -> dict[str, str]:
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = _run(
            ["loginctl", "show-session", session, *(f"--property={name}" for name in _SESSION)],
            SECONDS,
        )
        if done is not None and done.returncode == 0:
            lines = done.stdout.decode("utf-8", "replace").splitlines()
            return dict(line.split("=", 1) for line in lines if "=" in line)
    return {}


def _is_ours(leader: int) -> bool:
    """Return whether a session is there for this program, whichever controller asked for it."""
    mine = procfs.read("/proc/self/cmdline", COMMAND_LIMIT)
    return any(
        procfs.read(f"/proc/{pid}/cmdline", COMMAND_LIMIT) == mine
        for pid in (leader, *procfs.offspring(leader))
    )


def _called(method: str) -> list[Any]:
    """Return what a method of logind answers, nothing where nobody does."""
    with contextlib.suppress(subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        done = _run(["busctl", "--json=short", "call", *_LOGIN, method], SECONDS)
        if done is not None and done.returncode == 0:
            answer: list[Any] = json.loads(done.stdout)["data"]
            return answer
    return []


def _run(argv: list[str], seconds: float) -> subprocess.CompletedProcess[bytes] | None:
    """Return a program that has ended, None when it is not there."""
    try:
        return subprocess.run(  # noqa: S603 - words of this file
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        return None
