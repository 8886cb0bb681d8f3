"""The sidecar of a slot file, `FILE.slot.json`: what was saved, and what came of it since."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from reconciler.onhost import files
from reconciler.onhost.problem import HostProblem, explained

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDING = ".slot.json"
SIZE_LIMIT = 1024 * 1024

_IDENTITY = {"pid": int, "start": int, "inode": int, "boot_id": str, "invocation": str}
_PROCESS = {"invocation": ""}
"""What an identity need not say: only a service or a container has an invocation."""
_FIELDS = {
    "file": str,
    "slot": int,
    "tokens": int,
    "bytes": int,
    "sha256": str,
    "fingerprint": str,
    "saved_at": (int, float),
    "identity": dict,
    "slot_tokens": int,
    "task": (int, type(None)),
    "attempts": list,
}
_ATTEMPT = {"identity": dict, "outcome": str, "reason": str}
_COUNTS = ("slot", "tokens", "bytes")
_OUTCOMES = ("open", "proven", "cold", "unverified", "failed")


def read(folder: str, file: str) -> dict[str, Any]:
    """Read the sidecar of a slot file; raise HostProblem when it is missing or damaged."""
    path = _path(folder, file)
    sidecar = _parsed(file, path)
    wrong = fault(sidecar)
    # A sidecar that was copied or renamed by hand describes another file.
    if not wrong and sidecar["file"] != file:
        wrong = f"it describes {sidecar['file']}"
    if wrong:
        raise HostProblem(
            f"the description {path} is damaged or from another version: {wrong}; its slot file"
            " will not be used"
        )
    return dict(sidecar)


def _parsed(file: str, path: str) -> Any:  # noqa: ANN401 - it is not judged yet
    try:
        with explained(f"slot file {file} has no readable description {path}"):
            return files.read_json(path, SIZE_LIMIT)
    except (ValueError, RecursionError) as error:
        raise HostProblem(
            f"the description {path} is damaged: it is not JSON; its slot file will not be used"
        ) from error


def write(folder: str, sidecar: dict[str, Any]) -> None:
    """Put a sidecar beside its slot file, durably."""
    files.write_json(_path(folder, sidecar["file"]), sidecar)


def _path(folder: str, file: str) -> str:
    """Name the sidecar of a slot file."""
    return os.path.join(folder, file + ENDING)


def fault(sidecar: object) -> str:
    """Find what is wrong with a sidecar, "" for nothing."""
    return _fault(sidecar, _FIELDS)


def _fault(value: object, fields: dict[str, Any]) -> str:
    """Find what is wrong with a value that should have exactly these fields, "" for nothing."""
    if not isinstance(value, dict):
        return "it is not an object"
    differ = value.keys() ^ fields.keys()
    if differ:
        return f"its keys differ in {', '.join(sorted(map(str, differ)))}"
    for key, kind in fields.items():
        if not _fits(key, value[key], kind):
            return f"{key} is {json.dumps(value[key])[:80]}"
    return next(filter(None, _faults_within(value)), "")


def _faults_within(value: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the identity and the attempts of a sidecar, or of an attempt."""
    if "identity" in value:
        yield _fault({**_PROCESS, **value["identity"]}, _IDENTITY)
    for attempt in value.get("attempts", ()):
        yield _fault(attempt, _ATTEMPT)


def _fits(key: str, value: Any, kind: Any) -> bool:  # noqa: ANN401 - it may be anything
    """Whether a field's value is of its kind, and one that is ever written."""
    # To Python, True is a number too.
    return isinstance(value, kind) and not isinstance(value, bool) and _is_possible(key, value)


def _is_possible(key: str, value: int | str) -> bool:
    if key == "outcome":
        return value in _OUTCOMES
    return key not in _COUNTS or int(value) >= 0
