"""How a systemd is asked and told: that of the host, of a user, or of a container (seen with 252).

What it says of services is given as the host has it.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from reconciler.onhost import commands, groups, inner_systemd, procfs, properties, results
from reconciler.onhost.problem import NO_OBJECTION, HostProblem, Objection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.onhost.properties import State

SECONDS = 10.0

PROPERTIES = (
    "Type",
    "RemainAfterExit",
    "LoadState",
    "ActiveState",
    "SubState",
    "Job",
    "MainPID",
    "NotifyAccess",
    "InvocationID",
    "NRestarts",
    "ControlGroup",
    "ExecStart",
    "FragmentPath",
    "DropInPaths",
    "EnvironmentFiles",
    "Environment",
    "NeedDaemonReload",
    "Transient",
    "UnitFileState",
    "UpheldBy",
    "TriggeredBy",
    *properties.OWN_FILES,
    *results.PROPERTIES,
)
"""What decides whether a service could be started, and what runs of it."""

_FIRST = "Type"
"""What `systemctl show` always writes first of a service, so that one can be told from the next."""

_SOCKETS = ("bus", "systemd/private")
"""Where the systemd of a user is asked, in that user's runtime directory."""

_PLAIN = {"LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"}


def shown(name: str, scope: str, wanted: tuple[str, ...] = PROPERTIES) -> State:
    """Read properties of one service; raise HostProblem."""
    return states([name], scope, wanted)[0]


def states(names: list[str], scope: str, wanted: tuple[str, ...] = PROPERTIES) -> list[State]:
    """Read properties of services, in one question; raise HostProblem."""
    if not names:
        return []
    told = properties.states(show(scope, dict.fromkeys((_FIRST, *wanted)), names), wanted)
    if len(told) == len(names):
        return [inner_systemd.as_seen_outside(state, scope) for state in told]
    raise HostProblem(f"systemd told of {len(told)} services where it was asked about {len(names)}")


def show(scope: str, wanted: Iterable[str], names: Iterable[str], *, may_fail: bool = False) -> str:
    """Return properties of services as systemd writes them; raise HostProblem."""
    words = ["show", f"--property={','.join(wanted)}", "--", *names]
    return run([*_systemctl(scope), *words], scope, may_fail=may_fail)


def variables(scope: str) -> dict[str, str]:
    """Read what is in the environment of every service; raise HostProblem."""
    return commands.pairs(run([*_systemctl(scope), "show-environment"], scope))


def order(scope: str, verb: str, *words: str, may_fail: bool = False) -> None:
    """Tell systemd to do something with the unit that is the last word; raise HostProblem."""
    *flags, name = words
    # Nothing answers a question for a password here.
    argv = [*_systemctl(scope), "--no-ask-password", "--quiet", verb, *flags, "--", name]
    run(argv, scope, may_fail=may_fail)


def _systemctl(scope: str) -> list[str]:
    return ["systemctl", whose(scope), "--no-pager"]


def silence(scope: str) -> Objection:
    """Tell that a user's systemd does not run, and so none of its services; "" where it may."""
    uid = os.geteuid()
    places = {commands.runtime_directory(), f"/run/user/{uid}"}
    is_heard = any(os.path.exists(f"{place}/{name}") for place in places for name in _SOCKETS)
    group = f"/user.slice/user-{uid}.slice/user@{uid}.service"
    if scope != "user" or is_heard or groups.below(group):
        return NO_OBJECTION
    user = procfs.account(uid)
    fix = f"`loginctl enable-linger {user}` starts it, also at boot"
    return Objection(f"the systemd of {user} does not run, and so none of its services", fix)


def whose(scope: str) -> str:
    """The flag that chooses among the managers of one machine."""
    return "--user" if scope == "user" else "--system"


def run(argv: list[str], scope: str, *, may_fail: bool = False) -> str:
    """Run a program of systemd's and return what it said; raise HostProblem with its own words."""
    entering = inner_systemd.entering(scope)
    try:
        done = commands.run(entering + argv, SECONDS, _environment(scope))
    except FileNotFoundError:
        raise HostProblem(f"there is no {argv[0]} on this host: it does not run systemd") from None
    except commands.Late:
        asked = " ".join([*entering, *argv[:2]])
        raise HostProblem(f"`{asked}` did not answer within {SECONDS:g} s") from None
    said = " ".join(done.err.split())
    # Where there is no line to show, journalctl has no cursor to show either, and fails without a
    # word.
    if done.code and not may_fail and (said or argv[0] != "journalctl"):
        refused = f"{argv[0]} refused: {said or f'it ended with {done.code}'}"
        raise HostProblem(silence(scope) or refused)
    return done.out


def _environment(scope: str) -> dict[str, str]:
    if scope != "user":
        return _PLAIN
    return {**_PLAIN, "XDG_RUNTIME_DIR": commands.runtime_directory()}


def status(name: str, scope: str) -> str:
    """Write the command that shows how a service is."""
    return typed(scope, "status", name)


def typed(scope: str, *words: str) -> str:
    """Write a command of systemctl's as it is typed."""
    mine = ["--user"] if scope == "user" else []
    return f"`{shlex.join([*inner_systemd.entering(scope), 'systemctl', *mine, *words])}`"
