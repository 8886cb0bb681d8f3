"""What a service wrote, as systemd's journal has it."""

from __future__ import annotations

import os
from typing import Any

from reconciler.onhost import systemd

LINE_LIMIT = 4096

_JOURNAL = ("journalctl", "--quiet", "--no-pager", "--output=cat", "--show-cursor")
_CURSOR = "-- cursor: "


def log(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer the last lines that a service wrote to the journal, and the cursor they `end` at.

    They are those of its newest invocation; where that ended without a word, of the one before.
    After an earlier end, the first lines since, of any.
    """
    name, scope, end = request["name"], request["scope"], request.get("after", "")
    which = [f"--after-cursor={end}", *_of(name, scope)] if end else _newest(name, scope)
    found = _journal(scope, int(request["lines"]), which) if which else None
    return found or {"lines": [], "end": end}


def _newest(name: str, scope: str) -> list[str]:
    """Choose for journalctl the lines to show of a service; none of one that never ran."""
    state = systemd.shown(name, scope)
    if not state["InvocationID"]:
        return []
    newest = [f"_SYSTEMD_INVOCATION_ID={state['InvocationID']}"]
    if not systemd.is_over(state):
        return newest
    # What just ended may have written what journald has not read yet; not every account may ask it
    # to.
    systemd.run(["journalctl", "--quiet", "--sync"], "system", may_fail=True)
    return newest if _journal(scope, 1, newest) else _of(name, scope)


def _journal(scope: str, lines: int, which: list[str]) -> dict[str, Any] | None:
    """Read the last lines of the journal that fit, None when none does."""
    argv = [*_JOURNAL, f"--lines={lines}", *which]
    *written, cursor = systemd.run(argv, scope).splitlines() or [""]
    if not written:
        return None
    shown = [line[:LINE_LIMIT] for line in written[-lines:]]
    return {"lines": shown, "end": cursor.partition(_CURSOR)[2]}


def _of(name: str, scope: str) -> list[str]:
    """Name a service to journalctl, whichever of its invocations wrote."""
    if scope == "user":
        return [f"_SYSTEMD_USER_UNIT={name}", f"_UID={os.getuid()}"]
    return [f"_SYSTEMD_UNIT={name}"]
