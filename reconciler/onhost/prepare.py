"""Prepare a host for its work once it came up, and remember that until it sleeps or boots again."""

from __future__ import annotations

import json
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
        note = json.loads(files.read_bounded(os.path.join(directory, NOTE), NOTE_LIMIT))
        stands = (
            note["boot_id"] == procfs.boot_id()
            and abs(note["slept"] - _slept()) < TOLERATED_SECONDS
        )
        return {"digest": str(note["digest"]) if stands else ""}
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return {"digest": ""}


def prepare(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Run what is to be run, then the check and what helps; answer the remedies that were tried.

    Raise HostProblem.
    """
    preparation = request["preparation"]
    seconds = float(preparation["timeout"])
    for words in preparation["run"]:
        complaint = _complaint(words, seconds)
        if complaint:
            raise HostProblem(complaint)
    tried = (
        _healed(preparation["check"], preparation["remedies"], seconds)
        if preparation["check"]
        else []
    )
    os.makedirs(directory, mode=0o700, exist_ok=True)
    note = {"digest": request["digest"], "boot_id": procfs.boot_id(), "slept": _slept()}
    files.write_durably(os.path.join(directory, NOTE), json.dumps(note, sort_keys=True).encode())
    return {"tried": tried}


def _healed(check: list[str], remedies: list[list[str]], seconds: float) -> list[str]:
    """Return the remedies that it took until the check passed.

    Raise HostProblem when it never did.
    """
    tried: list[str] = []
    complaint = _complaint(check, seconds)
    for remedy in remedies:
        if not complaint:
            break
        failed = _complaint(remedy, seconds)
        tried.append(failed or f"`{' '.join(remedy)}`")
        complaint = _complaint(check, seconds)
    if complaint:
        raise HostProblem("; tried ".join((complaint, *tried)))
    return tried


def _complaint(words: list[str], seconds: float) -> str:
    """Run a program and return what is wrong with how it ended, empty when it ended with 0."""
    try:
        ran = programs.run({"argv": words, "seconds": seconds}, "")
    except HostProblem as problem:
        return str(problem)
    said = (ran["err"] or ran["out"]).strip().splitlines()[-LAST_LINES:]
    return (
        f"`{' '.join(words)}` ended with {ran['code']}: {' / '.join(said) or 'it wrote nothing'}"
        if ran["code"]
        else ""
    )


def _slept() -> float:
    """Return the seconds for which the host has slept in this boot: one clock goes on meanwhile, the other does not."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
