"""What stands in the way of shutting this host down, or suspending it, and whether this user may.

Sessions and inhibitors are those of systemd-logind; where there is none, there are none. The
caller's own login does not count, nor does that of another controller of this kind. Source:
org.freedesktop.login1(5), busctl(1) and loginctl(1) of systemd 252; sudo(8) 1.9.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from reconciler.onhost import commands, procfs
from reconciler.onhost.problem import HostProblem

SECONDS = 5.0
VERBS = {"off": "poweroff", "suspend": "suspend"}
SLOW_SECONDS = 15.0
COMMAND_LIMIT = 64 * 1024
_PLAIN = {"LC_ALL": "C"}
_DOES = {"off": "power it off", "suspend": "suspend"}
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
        done = commands.run(argv, SLOW_SECONDS, _PLAIN)
    except commands.Late:
        return {"command": argv, "doubt": f"`{typed}` did not end within {SLOW_SECONDS:g} s"}
    except FileNotFoundError:
        raise HostProblem(f"there is no {argv[0]} on the PATH there") from None
    if done.code:
        raise HostProblem(f"`{typed}` was refused: {done.said}")
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
    reasons = [f"{one['user']} is logged in ({one['place']})" for one in _logins()]
    reasons += [f"{one['who']}: {one['why']}" for one in _inhibitors(_KINDS[way])]
    if reasons:
        raise HostProblem(f"it is kept up by {'; '.join(reasons)}")
    return ["sudo", "-n", *_sudo_command(way)]


def _sudo_command(way: str) -> list[str]:
    return ["systemctl", "--check-inhibitors=no", VERBS[way]]


def _barred(way: str) -> dict[str, str]:
    """Tell why this user may not do it, and the remedy; both empty when it may."""
    if _asked(_CAN[way]) == "na":
        return _problem(f"its system cannot {_DOES[way]}")
    if _may(way) or _sudo_lets(way):
        return _problem()
    user = procfs.account(os.geteuid())
    return _problem(f"{user} may not switch it off", _rule(user, _sudo_command(way)))


def _problem(found: str = "", fix: str = "") -> dict[str, str]:
    return {"found": found, "fix": fix}


def _rule(user: str, command: list[str]) -> str:
    # sudoers(5) wants a backslash before an equals sign in an argument.
    escaped = " ".join(command).replace("=", "\\=")
    rule = f"{user} ALL=(root) NOPASSWD: /usr/bin/{escaped}"
    return f"`sudo visudo -f /etc/sudoers.d/reconciler` with the line `{rule}` lets it"


def _sudo_lets(way: str) -> bool:
    """Whether sudo would run the command; asking runs nothing."""
    done = _tried(["sudo", "-n", "-l", *_sudo_command(way)])
    return done is not None and done.code == 0


def _asked(question: str) -> str:
    """Ask logind whether something can be done; "" where it is not there."""
    told = _called(question)
    return str(told[0]) if told else ""


def _inhibitors(kind: str) -> list[dict[str, Any]]:
    """List what blocks this way down."""
    return [
        {"who": who, "why": why, "pid": pid}
        for what, who, why, mode, _, pid in _listed("ListInhibitors")
        if _blocks(kind, what, mode)
    ]


def _blocks(kind: str, what: str, mode: str) -> bool:
    # What only delays it is waited for by the system.
    return kind in what.split(":") and mode.startswith("block")


def _logins() -> list[dict[str, str]]:
    """List who is logged in, except through the session that this process belongs to."""
    told = [_session(session) for session, *_ in _listed("ListSessions")]
    return [_login(one) for one in told if _is_other_user(one)]


def _listed(method: str) -> list[Any]:
    answer = _called(method)
    return list(answer[0]) if answer else []


def _is_other_user(session: dict[str, str]) -> bool:
    return _is_open(session) and not _is_ours(int(session.get("Leader") or 0))


def _is_open(session: dict[str, str]) -> bool:
    # logind also has background sessions, those of its greeter, and some that are about to end.
    return session.get("Class") == "user" and session.get("State") != "closing"


def _login(session: dict[str, str]) -> dict[str, str]:
    return {"user": session.get("Name", "another user"), "place": _place(session)}


def _place(session: dict[str, str]) -> str:
    place = session.get("TTY") or session.get("Type") or "somewhere"
    host = session.get("RemoteHost")
    return f"{place} from {host}" if host else place


def _session(session: str) -> dict[str, str]:
    wanted = commands.properties(_SESSION)
    return commands.pairs(_output(["loginctl", "show-session", session, *wanted]))


def _is_ours(leader: int) -> bool:
    """Whether a session is there for this program, whichever controller asked for it."""
    mine = _typed("self")
    return any(_typed(pid) == mine for pid in (leader, *procfs.offspring(leader)))


def _typed(pid: int | str) -> bytes:
    return procfs.read(f"/proc/{pid}/cmdline", COMMAND_LIMIT)


def _called(method: str) -> list[Any]:
    """Call a method of logind; [] where it does not answer."""
    said = _output(["busctl", "--json=short", "call", *_LOGIN, method])
    with contextlib.suppress(ValueError, KeyError, TypeError):
        told: list[Any] = json.loads(said)["data"]
        return told
    return []


def _output(argv: list[str]) -> str:
    """Read what a program writes, "" where it does not end well."""
    done = _tried(argv)
    return done.out if done is not None and done.code == 0 else ""


def _tried(argv: list[str]) -> commands.Ended | None:
    """Run a program; None when it is not there, or does not end in time."""
    with contextlib.suppress(FileNotFoundError, commands.Late):
        return commands.run(argv, SECONDS, _PLAIN)
    return None
