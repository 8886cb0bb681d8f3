"""How a systemd service ended, as a clause.

By what systemd.exec(5) lists under $SERVICE_RESULT, seen with systemd 252.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Mapping

CONTROLS = ("ExecCondition", "ExecStartPre", "ExecStartPost")
"""What runs beside a service's own program; the first of them that fails ends the start."""

PROPERTIES = (
    "Result",
    "ExecMainCode",
    "ExecMainStatus",
    "ConditionResult",
    "ConditionTimestampMonotonic",
)

_EXITED, _KILLED, _DUMPED = "1", "2", "3"
"""CLD_EXITED, CLD_KILLED and CLD_DUMPED: how waitid(2) tells of an end, and `systemctl show` of the
main process."""

_CODES = {"exited": _EXITED, "killed": _KILLED, "dumped": _DUMPED}
_RUN = re.compile(r"; code=(exited|killed|dumped) ; status=(\d+)")
_NOT_RUN = range(200, 246)
"""Statuses that mean that systemd could not make ready for the program, or run it: systemd.exec(5),
PROCESS EXIT CODES."""

_LATE = "ran too long (TimeoutStartSec=)"
_REFUSED = ", with which systemd says that it could not run it (systemd.exec(5))"
_CLAUSES = {
    "timeout": "a time limit of its unit had passed (TimeoutStartSec=, RuntimeMaxSec=)",
    "watchdog": "it gave no sign of life within WatchdogSec=",
    "protocol": (
        "it ended, or left no PID file, before it said that it is ready, as its Type= wants"
    ),
    "oom-kill": "the kernel ended it because memory ran out",
    "start-limit-hit": "it was started too often in a short time (StartLimitBurst=)",
    "exec-condition": "its ExecCondition= did not let it start",
    "resources": "systemd could not get what it needs to start it",
}
_UNMET = "a condition of its unit is not met (Condition...=)"
_NOTHING_RAN = (
    "nothing of it ran, or it was over at once: a condition of its unit is not met, or a unit that"
    " it requires failed"
)


def ending(state: Mapping[str, str], controls: Mapping[str, str], when: str = "") -> str:
    """Tell how a service ended.

    `controls` are what systemd shows of the programs beside it; `when` follows a plain end.
    """
    result = state["Result"]
    # First what ran beside it: its failure ends the start, whatever the service's own program did.
    beside = _beside(result, controls)
    if beside or result in _CLAUSES:
        return beside or _CLAUSES[result]
    if state["ExecMainCode"] in _CODES.values():
        return f"it {_end(state['ExecMainCode'], state['ExecMainStatus'])}{when}"
    return _UNMET if _is_unmet(state) else _NOTHING_RAN


def _is_unmet(state: Mapping[str, str]) -> bool:
    checked = state["ConditionTimestampMonotonic"] not in {"", "0"}
    return checked and state["ConditionResult"] == "no"


def _beside(result: str, controls: Mapping[str, str]) -> str:
    """Tell how the first program beside the service's own failed, "" when none did."""
    name, code, status = next(_failures(controls), ("", "", ""))
    # An ExecCondition= that says no is a result of its own, and no failure.
    if not name or result == "exec-condition":
        return ""
    late = result == "timeout"
    return f"its {name}= {_LATE if late else _end(_CODES[code], status)}"


def _failures(controls: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield the programs that ended with another status than 0, with how they did."""
    for name in CONTROLS:
        for code, status in _RUN.findall(controls.get(name, "")):
            if status != "0":
                yield name, code, status


def _end(code: str, status: str) -> str:
    """Tell how one process ended."""
    if code == _EXITED:
        return f"ended with status {status}{_meaning(int(status))}"
    verb = "crashed" if code == _DUMPED else "was ended"
    return f"{verb} by {_signal(int(status))}"


def _meaning(status: int) -> str:
    return _REFUSED if status in _NOT_RUN else ""


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
