"""A host's preparation for its work, once it came up: remembered until it sleeps or boots again."""

from __future__ import annotations

import os
import time
from typing import Any

from reconciler.onhost import files, procfs, programs
from reconciler.onhost.problem import HostProblem

NOTE = "prepared.json"
NOTE_LIMIT = 4096
LAST_LINES = 3
TOLERATED_SECONDS = 1.0
"""The two clocks that tell how long a host has slept are not read at one moment."""


def prepared(directory: str) -> dict[str, Any]:
    """Answer with which preparation the host was made ready since it came up.

    A note that makes no sense tells of none.
    """
    try:
        note = files.read_json(_path(directory), NOTE_LIMIT)
        return {"digest": str(note["digest"]) if _is_of_now(note) else ""}
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return {"digest": ""}


def _path(directory: str) -> str:
    return os.path.join(directory, NOTE)


def _is_of_now(note: dict[str, Any]) -> bool:
    """Whether the host has neither booted nor slept since."""
    slept: float = note["slept"]
    return note["boot_id"] == procfs.boot_id() and abs(slept - _slept()) < TOLERATED_SECONDS


def prepare(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Run what has to be run, then the check and what helps; answer the remedies that were tried.

    Raise HostProblem when something does not end well.
    """
    preparation = request["preparation"]
    seconds = float(preparation["timeout"])
    for words in preparation["run"]:
        complaint = _complaint(words, seconds)
        if complaint:
            raise HostProblem(complaint)
    check = preparation["check"]
    tried = _healed(check, preparation["remedies"], seconds) if check else []
    _remember(request["digest"], directory)
    return {"tried": tried}


def _remember(digest: str, directory: str) -> None:
    os.makedirs(directory, mode=0o700, exist_ok=True)
    note = {"digest": digest, "boot_id": procfs.boot_id(), "slept": _slept()}
    files.write_json(_path(directory), note)


def _healed(check: list[str], remedies: list[list[str]], seconds: float) -> list[str]:
    """Try one remedy after the other until the check passes; raise HostProblem if it never does."""
    tried: list[str] = []
    complaint = _complaint(check, seconds)
    for remedy in remedies:
        if not complaint:
            break
        # A remedy that fails may still have helped, or a later one does: only the check decides.
        failed = _complaint(remedy, seconds)
        tried.append(failed or f"`{' '.join(remedy)}`")
        complaint = _complaint(check, seconds)
    if complaint:
        raise HostProblem("; tried ".join((complaint, *tried)))
    return tried


def _complaint(words: list[str], seconds: float) -> str:
    """Run a program and tell what is wrong with how it ended, "" when it ended with 0."""
    try:
        ran = programs.run({"argv": words, "seconds": seconds}, "")
    except HostProblem as problem:
        return str(problem)
    return f"`{' '.join(words)}` ended with {ran['code']}: {_last(ran)}" if ran["code"] else ""


def _last(ran: dict[str, Any]) -> str:
    """Choose the last lines that a program wrote, for people."""
    lines = (ran["err"] or ran["out"]).strip().splitlines()
    return " / ".join(lines[-LAST_LINES:]) or "it wrote nothing"


def _slept() -> float:
    """Measure the seconds for which the host has slept in this boot."""
    # One clock goes on meanwhile, the other does not.
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
