"""Saved conversation slots: files with a sidecar each, sealed, checked, listed and evicted.

A slot file counts only with its sidecar `FILE.slot.json`, which names its size and sha256.
Everything that ends in `.tmp` is a leftover of something that was interrupted. Nothing else in the
directory is ever touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from typing import Any, BinaryIO, NamedTuple

from reconciler.onhost import files, slotfile
from reconciler.onhost.problem import HostProblem, explained

SIDECAR = ".slot.json"
TEMPORARY = ".tmp"
SIDECAR_LIMIT = 1024 * 1024
ATTEMPTS_LIMIT = 20
ENTRIES_LIMIT = 10_000

_CHUNK = 4 * 1024 * 1024
_IDENTITY = {"pid": int, "start": int, "inode": int, "boot_id": str, "invocation": str}
_PROCESS = {"invocation": ""}
"""What an identity need not say: only a service of systemd has an invocation."""
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


class SlotListing(NamedTuple):
    """What is in a slot directory.

    Good sidecars, oldest first, sentences about bad ones, and useless files.
    """

    good: list[dict[str, Any]]
    problems: list[str]
    useless: list[str]


def seal(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Make a freshly saved file durable under its name, with its sidecar.

    Then drop the files of its slot that it replaces.
    """
    folder, size = files.absolute(request["directory"], directory), int(request["size"])
    temporary, name = _name(request["temporary"]), _name(request["file"])
    if not temporary.endswith(TEMPORARY):
        raise HostProblem(
            f"a slot file that is not sealed yet must end in {TEMPORARY}, so that it can be"
            f" recognised: {temporary}"
        )
    source, target = os.path.join(folder, temporary), os.path.join(folder, name)
    # A seal that was interrupted after it had given the file its name is done again.
    if not os.path.lexists(source) and os.path.lexists(target):
        source = target
    digest = _made_durable(source, size)
    sealed = {"file": name, "bytes": size, "sha256": digest}
    sidecar = {**request["sidecar"], **sealed, "attempts": []}
    fault = _fault(sidecar, _FIELDS)
    if fault:
        raise HostProblem(f"the description of slot file {name} is not complete: {fault}")
    # The sidecar first: of a file that has its name without one, nothing would be known.
    _write_sidecar(folder, sidecar)
    _put_in_place(source, target)
    return {**sealed, "removed": _drop_replaced(folder, sidecar)}


def _put_in_place(source: str, target: str) -> None:
    with explained(f"cannot put slot file {target} in place"):
        os.replace(source, target)
        files.sync_folder(os.path.dirname(target))


def check(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Compare a slot file, read whole, with its sidecar.

    Answer the tokens it starts with, or None and what it looks like.
    """
    folder, name = files.absolute(request["directory"], directory), _name(request["file"])
    sidecar = _sidecar(folder, name)
    with _open(os.path.join(folder, name)) as file:
        _refuse_damaged(file, sidecar)
        try:
            tokens, layout = slotfile.tokens(file, sidecar["tokens"])
        except HostProblem as problem:
            raise HostProblem(
                f"slot file {name} is not what was described: {problem}; it will not be used"
            ) from problem
    count = None if tokens is None else len(tokens)
    known = {"file": name, "bytes": sidecar["bytes"]}
    return {**known, "tokens": tokens, "n": count, "layout": layout}


def _refuse_damaged(file: BinaryIO, sidecar: dict[str, Any]) -> None:
    """Raise HostProblem for a file that is not, byte for byte, what was saved."""
    name, wanted = sidecar["file"], sidecar["bytes"]
    size = os.fstat(file.fileno()).st_size
    if size != wanted:
        raise HostProblem(
            f"slot file {name} has {size} bytes, not {wanted}; it is damaged and will not be used"
        )
    if _sha256(file) != sidecar["sha256"]:
        raise HostProblem(
            f"slot file {name} is not what was saved: its sha256 differs; it is damaged and"
            " will not be used"
        )


def note(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Write into a sidecar what came of a restore."""
    folder, name = files.absolute(request["directory"], directory), _name(request["file"])
    sidecar = _sidecar(folder, name)
    attempt = {
        "identity": request["identity"],
        "outcome": request["outcome"],
        "reason": request.get("reason", ""),
    }
    attempts = _noted(sidecar["attempts"], attempt)
    _write_sidecar(folder, {**sidecar, "attempts": attempts[-ATTEMPTS_LIMIT:]})
    return {"file": name, "outcome": attempt["outcome"]}


def _noted(attempts: list[dict[str, Any]], attempt: dict[str, Any]) -> list[dict[str, Any]]:
    """Add an attempt, in place of the open one of the same unit."""
    if attempts and _is_open(attempts[-1], attempt["identity"]):
        attempts = attempts[:-1]
    # The same note again, from a run that is continued, adds nothing.
    return attempts if attempts[-1:] == [attempt] else [*attempts, attempt]


def _is_open(attempt: dict[str, Any], identity: dict[str, Any]) -> bool:
    return (attempt["identity"], attempt["outcome"]) == (identity, "open")


def saved(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Answer the newest saved file of every slot and fingerprint, the room, and what is damaged."""
    folder = files.absolute(request["directory"], directory)
    listing, above = _listing(folder), files.nearest(folder)
    newest = {(sidecar["slot"], sidecar["fingerprint"]): sidecar for sidecar in listing.good}
    return {
        "slots": [newest[place] for place in sorted(newest)],
        "free_bytes": files.free_bytes(folder),
        "held_bytes": _held(listing.good) + _sizes(folder, listing.useless),
        "folder": folder,
        "obstacle": files.obstacle(above) or ("" if os.access(above, os.W_OK) else "another's"),
        "nearest": above,
        "problems": listing.problems,
    }


def _held(sidecars: list[dict[str, Any]]) -> int:
    """Add up the bytes of slot files."""
    return sum(sidecar["bytes"] for sidecar in sidecars)


def room(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Make the folder, delete leftovers, then the oldest slot files, until `needed` bytes fit.

    Where that is possible, `spare` bytes more are made free. Raise HostProblem, with nothing
    deleted, when they never would fit.
    """
    folder, budget = files.absolute(request["directory"], directory), int(request["budget"])
    needed, spare = int(request["needed"]), int(request["spare"])
    os.makedirs(folder, mode=0o700, exist_ok=True)
    keep = {name for kept in request["keep"] for name in (kept, kept + SIDECAR, kept + TEMPORARY)}
    listing = _listing(folder)
    useless = [name for name in listing.useless if name not in keep]
    evictable = [sidecar for sidecar in listing.good if sidecar["file"] not in keep]
    left, gain = budget - _held(listing.good), _held(evictable)
    free = files.free_bytes(folder) or 0
    possible = max(0, min(left + gain, free + gain + _sizes(folder, useless)))
    if needed > possible:
        raise HostProblem(
            f"{needed} bytes are needed for saved conversations in {folder}, but only {possible}"
            f" can be made free there (budget {budget}, free on the disk {free}); raise the budget,"
            " or make space"
        )
    _remove(folder, useless)
    evicted = _evict(folder, evictable, min(needed + spare, possible), left)
    return {"removed": [*useless, *evicted], "free_bytes": files.free_bytes(folder)}


def _evict(folder: str, sidecars: list[dict[str, Any]], enough: int, left: int) -> list[str]:
    """Delete slot files until enough is free, of the budget (`left` now) and on the disk."""
    removed = []
    for sidecar in sidecars:
        if enough <= min(left, files.free_bytes(folder) or 0):
            break
        # The sidecar first, as everywhere: a file without one counts for nothing.
        _remove(folder, [sidecar["file"] + SIDECAR, sidecar["file"]])
        removed.append(sidecar["file"])
        left += sidecar["bytes"]
    return removed


def _listing(folder: str) -> SlotListing:
    """Read every sidecar of a directory."""
    try:
        names = set(sorted(os.listdir(folder))[:ENTRIES_LIMIT])
    except FileNotFoundError:
        return SlotListing([], [], [])
    good, problems, useless = [], [], [name for name in sorted(names) if name.endswith(TEMPORARY)]
    for name in sorted(name for name in names if name.endswith(SIDECAR)):
        file = name[: -len(SIDECAR)]
        try:
            good.append(_whole(folder, file))
        except HostProblem as problem:
            problems.append(str(problem))
            useless += [name, file] if file in names else [name]
    return SlotListing(sorted(good, key=_age), problems, useless)


def _age(sidecar: dict[str, Any]) -> tuple[float, str]:
    return sidecar["saved_at"], sidecar["file"]


def _whole(folder: str, file: str) -> dict[str, Any]:
    """Read the sidecar of a slot file that has the size it should; raise HostProblem."""
    sidecar, path = _sidecar(folder, file), os.path.join(folder, file)
    if _size(path) != sidecar["bytes"]:
        found = f"has {_size(path)} bytes" if os.path.lexists(path) else "is missing"
        raise HostProblem(
            f"slot file {file} {found}, but {sidecar['bytes']} bytes were saved; it will not be"
            " used"
        )
    return sidecar


def _sidecar(folder: str, file: str) -> dict[str, Any]:
    """Read the sidecar of a slot file; raise HostProblem when it is missing or damaged."""
    path = os.path.join(folder, file + SIDECAR)
    with explained(f"slot file {file} has no readable description {path}"):
        content = files.read_bounded(path, SIDECAR_LIMIT)
    try:
        sidecar = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise HostProblem(
            f"the description {path} is damaged: it is not JSON; its slot file will not be used"
        ) from error
    fault = _fault(sidecar, _FIELDS)
    # A sidecar that was copied or renamed by hand describes another file.
    if not fault and sidecar["file"] != file:
        fault = f"it describes {sidecar['file']}"
    if fault:
        raise HostProblem(
            f"the description {path} is damaged or from another version: {fault}; its slot file"
            " will not be used"
        )
    return dict(sidecar)


def _fault(value: object, fields: dict[str, Any]) -> str:
    """Find what is wrong with a value that should have exactly these fields, "" for nothing."""
    if not isinstance(value, dict):
        return "it is not an object"
    if set(value) != set(fields):
        return f"its keys differ in {', '.join(sorted(map(str, set(value) ^ set(fields))))}"
    for key, kind in fields.items():
        if not _fits(key, value[key], kind):
            return f"{key} is {json.dumps(value[key])[:80]}"
    within = [_fault({**_PROCESS, **value["identity"]}, _IDENTITY)] if "identity" in fields else []
    within += [_fault(attempt, _ATTEMPT) for attempt in value.get("attempts", ())]
    return next(filter(None, within), "")


def _fits(key: str, value: Any, kind: Any) -> bool:  # noqa: ANN401 - it may be anything
    """Whether a field's value is of its kind, and one that is ever written."""
    # To Python, True is a number too.
    if not isinstance(value, kind) or isinstance(value, bool):
        return False
    if key == "outcome":
        return value in _OUTCOMES
    return key not in _COUNTS or int(value) >= 0


def _write_sidecar(folder: str, sidecar: dict[str, Any]) -> None:
    content = json.dumps(sidecar, sort_keys=True).encode()
    files.write_durably(os.path.join(folder, sidecar["file"] + SIDECAR), content)


def _drop_replaced(folder: str, newest: dict[str, Any]) -> list[str]:
    """Delete the files of a slot that are not newer, but the last one of another fingerprint."""
    older = [sidecar for sidecar in _listing(folder).good if _is_before(sidecar, newest)]
    others = [one["file"] for one in older if one["fingerprint"] != newest["fingerprint"]]
    # That one is of the definition, or the build, before: going back to it finds it (ADR 0013).
    replaced = [one["file"] for one in older if one["file"] not in others[-1:]]
    for file in replaced:
        _remove(folder, [file + SIDECAR, file])
    return replaced


def _is_before(sidecar: dict[str, Any], newest: dict[str, Any]) -> bool:
    if sidecar["slot"] != newest["slot"] or sidecar["file"] == newest["file"]:
        return False
    return float(sidecar["saved_at"]) <= float(newest["saved_at"])


def _remove(folder: str, names: list[str]) -> None:
    """Delete files that may be gone already."""
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))


def _name(text: object) -> str:
    """Check a plain file name; raise HostProblem for one that leaves its directory."""
    if not isinstance(text, str) or text in {"", ".", ".."} or not {"/", "\0"}.isdisjoint(text):
        raise HostProblem(f"{text!r} is not a plain file name")
    return text


def _open(path: str) -> BinaryIO:
    """Open a slot file; raise HostProblem when it is missing, a link, or not a file."""
    with explained(f"slot file {path} cannot be opened"):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return open(descriptor, "rb")
    os.close(descriptor)
    raise HostProblem(f"{path} is not a regular file")


def _size(path: str) -> int:
    """Measure a file, 0 when it cannot be seen."""
    with contextlib.suppress(OSError):
        return os.lstat(path).st_size
    return 0


def _sizes(folder: str, names: list[str]) -> int:
    return sum(_size(os.path.join(folder, name)) for name in names)


def _made_durable(path: str, size: int) -> str:
    """Check a file's size, make its content durable and private, and digest it."""
    with _open(path) as file:
        found = os.fstat(file.fileno()).st_size
        if found != size:
            raise HostProblem(
                f"the engine wrote {found} bytes to {path}, but said {size}; is the disk full?"
            )
        with explained(f"cannot make {path} durable"):
            os.fchmod(file.fileno(), 0o600)
            os.fsync(file.fileno())
            return _sha256(file)


def _sha256(file: BinaryIO) -> str:
    """Digest a file from its start."""
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
