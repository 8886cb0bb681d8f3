"""What stands in the way of shutting this host down, or suspending it, and whether this user may.

Sessions and inhibitors are those of systemd-logind; where there is none, there are none. The
caller's own login does not count, nor does that of another controller of this kind. Source:
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
    """Answer what speaks against going down in a way, `off` or `suspend`.

    Logins, inhibitors of that way, and why this user may not.
    """
    way = request["way"]
    return {
        "logins": _logins(),
        "inhibitors": _inhibitors(_KINDS[way]),
        "permission_problem": _barred(way),
    }


def send_down(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Ask systemd to shut this host down or to suspend it; inhibitors and other logins are heeded.

    A refusal is a HostProblem in its own words. Where the command does not end in time, `doubt`
    says so: systemd may have heard.
    """
    way = request["way"]
    argv = _command(way) if _may(way) else _as_root(way)
    typed = " ".join(argv)
    try:
        done = _run(argv, SLOW_SECONDS)
    except subprocess.TimeoutExpired:
        return {"command": argv, "doubt": f"`{typed}` did not end within {SLOW_SECONDS:g} s"}
    if done is None:
        raise HostProblem(f"there is no {argv[0]} on the PATH there")
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).decode("utf-8", "replace").split())
        raise HostProblem(f"`{typed}` was refused: {said or f'it ended with {done.returncode}'}")
    return {"command": argv}


def _command(way: str) -> list[str]:
    return ["systemctl", "--check-inhibitors=yes", VERBS[way]]


def _may(way: str) -> bool:
    """Whether this user may do it without becoming root."""
    return os.geteuid() == 0 or _asked(_CAN[way]) == "yes"


def _as_root(way: str) -> list[str]:
    """Make the command for root; raise HostProblem when something keeps the host up."""
    # Under sudo, systemctl takes this user's own login for another's and refuses each time (ADR
    # 0010): its check is left out, and made here.
    logins = [f"{one['user']} is logged in ({one['place']})" for one in _logins()]
    inhibitors = [f"{one['who']}: {one['why']}" for one in _inhibitors(_KINDS[way])]
    if logins or inhibitors:
        raise HostProblem(f"it is kept up by {'; '.join(logins + inhibitors)}")
    return ["sudo", "-n", *_sudo_command(way)]


def _sudo_command(way: str) -> list[str]:
    return ["systemctl", "--check-inhibitors=no", VERBS[way]]


def _barred(way: str) -> dict[str, str]:
    """Tell why this user may not do it, and the remedy; both empty when it may."""
    if _asked(_CAN[way]) == "na":
        what = way if way == "suspend" else "power it off"
        return {"found": f"its system cannot {what}", "fix": ""}
    if _may(way) or _sudo_lets(way):
        return {"found": "", "fix": ""}
    rule = f"{_name()} ALL=(root) NOPASSWD: /usr/bin/{_escaped(_sudo_command(way))}"
    fix = f"`sudo visudo -f /etc/sudoers.d/reconciler` with the line `{rule}` lets it"
    return {"found": f"{_name()} may not switch it off", "fix": fix}


def _sudo_lets(way: str) -> bool:
    """Whether sudo would run the command; asking runs nothing."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = _run(["sudo", "-n", "-l", *_sudo_command(way)], SECONDS)
        return done is not None and done.returncode == 0
    return False


def _escaped(words: list[str]) -> str:
    # sudoers(5) wants a backslash before an equals sign in an argument.
    return " ".join(words).replace("=", "\\=")


def _name() -> str:
    with contextlib.suppress(KeyError):
        import pwd  # noqa: PLC0415 - only here

        return pwd.getpwuid(os.geteuid()).pw_name
    return str(os.geteuid())


def _asked(question: str) -> str:
    """Ask logind whether something can be done; "" where it is not there."""
    told = _called(question)
    return str(told[0]) if told else ""


def _inhibitors(kind: str) -> list[dict[str, Any]]:
    """List what blocks this way down; what only delays it is waited for by the system."""
    told = _called("ListInhibitors")
    return [
        {"who": who, "why": why, "pid": pid}
        for what, who, why, mode, _, pid in (told[0] if told else ())
        if kind in what.split(":") and mode.startswith("block")
    ]


def _logins() -> list[dict[str, str]]:
    """List who is logged in, except through the session that this process belongs to."""
    sessions = _called("ListSessions")
    told = [_session(session) for session, *_ in (sessions[0] if sessions else ())]
    return [_login(one) for one in told if _is_other_user(one)]


def _is_other_user(session: dict[str, str]) -> bool:
    # logind also has sessions of services, of its greeter, and those that are about to end.
    is_open = session.get("Class") == "user" and session.get("State") != "closing"
    return is_open and not _is_ours(int(session.get("Leader") or 0))


def _login(session: dict[str, str]) -> dict[str, str]:
    place = session.get("TTY") or session.get("Type") or "somewhere"
    host = f" from {session['RemoteHost']}" if session.get("RemoteHost") else ""
    return {"user": session.get("Name", "another user"), "place": f"{place}{host}"}


def _session(session: str) -> dict[str, str]:
    wanted = [f"--property={name}" for name in _SESSION]
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = _run(["loginctl", "show-session", session, *wanted], SECONDS)
        if done is not None and done.returncode == 0:
            lines = done.stdout.decode("utf-8", "replace").splitlines()
            return dict(line.split("=", 1) for line in lines if "=" in line)
    return {}


def _is_ours(leader: int) -> bool:
    """Whether a session is there for this program, whichever controller asked for it."""
    mine = procfs.read("/proc/self/cmdline", COMMAND_LIMIT)
    pids = (leader, *procfs.offspring(leader))
    return any(procfs.read(f"/proc/{pid}/cmdline", COMMAND_LIMIT) == mine for pid in pids)


def _called(method: str) -> list[Any]:
    """Call a method of logind; [] where it does not answer."""
    with contextlib.suppress(subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        done = _run(["busctl", "--json=short", "call", *_LOGIN, method], SECONDS)
        if done is not None and done.returncode == 0:
            answer: list[Any] = json.loads(done.stdout)["data"]
            return answer
    return []


def _run(argv: list[str], seconds: float) -> subprocess.CompletedProcess[bytes] | None:
    """Run a program to its end; None when it is not there, TimeoutExpired when it does not end."""
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
