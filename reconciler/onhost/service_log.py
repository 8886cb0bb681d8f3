"""What a service wrote, as systemd's journal has it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from reconciler.onhost import systemctl, systemd

if TYPE_CHECKING:
    from reconciler.onhost.properties import State

LINE_LIMIT = 4096

_JOURNAL = ("journalctl", "--quiet", "--no-pager", "--output=cat", "--show-cursor")
_CURSOR = "-- cursor: "


def log(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer the last lines that a service wrote to the journal, and the cursor they `end` at.

    They are those of its newest invocation; of any where that ended without a word or systemd
    started it again by itself, for then one before says why. After an earlier end, the first lines
    since, of any.
    """
    name, scope, end = request["name"], request["scope"], request.get("after", "")
    which = [f"--after-cursor={end}", *_of(name, scope)] if end else _newest(name, scope)
    found = _journal(scope, int(request["lines"]), which) if which else None
    return found or {"lines": [], "end": end}


def _newest(name: str, scope: str) -> list[str]:
    """Choose for journalctl the lines to show of a service; none of one that never ran."""
    state = systemctl.shown(name, scope)
    if not state["InvocationID"]:
        return []
    newest, came_back = [f"_SYSTEMD_INVOCATION_ID={state['InvocationID']}"], _came_back(state)
    if not (came_back or systemd.is_over(state)):
        return newest
    # What just ended may have written what journald has not read yet; not every account may ask it
    # to.
    systemctl.run(["journalctl", "--quiet", "--sync"], "system", may_fail=True)
    return _of(name, scope) if came_back or not _journal(scope, 1, newest) else newest


def _came_back(state: State) -> bool:
    """Whether systemd started a service again by itself since somebody did."""
    return int(state["NRestarts"] or 0) > 0


def _journal(scope: str, lines: int, which: list[str]) -> dict[str, Any] | None:
    """Read the last lines of the journal that fit, None when none does."""
    argv = [*_JOURNAL, f"--lines={lines}", *which]
    *written, cursor = systemctl.run(argv, scope).splitlines() or [""]
    if not written:
        return None
    shown = [line[:LINE_LIMIT] for line in written[-lines:]]
    return {"lines": shown, "end": cursor.partition(_CURSOR)[2]}


def _of(name: str, scope: str) -> list[str]:
    """Name a service to journalctl, whichever of its invocations wrote."""
    if scope == "user":
        return [f"_SYSTEMD_USER_UNIT={name}", f"_UID={os.getuid()}"]
    return [f"_SYSTEMD_UNIT={name}"]
