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
from reconciler.onhost.problem import HostProblem, explain

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
    "file": str, "slot": int, "tokens": int, "bytes": int, "sha256": str, "fingerprint": str,
    "saved_at": (int, float), "identity": dict, "slot_tokens": int, "task": (int, type(None)),
    "attempts": list,
}  # fmt: skip
_ATTEMPT = {"identity": dict, "outcome": str, "reason": str}
_COUNTS = ("slot", "tokens", "bytes")
_OUTCOMES = ("open", "proven", "cold", "unverified", "failed")


class SlotListing(NamedTuple):
    """What is in a slot directory: good sidecars oldest first, sentences about bad ones, and useless files."""

    good: list[dict[str, Any]]
    problems: list[str]
    useless: list[str]


def seal(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Make a freshly saved file durable under its name, with its sidecar.

    Then drop the files of its slot that it replaces.
    """
    folder = files.absolute(request["directory"], directory)
    temporary, name, size = (
        _name(request["temporary"]),
        _name(request["file"]),
        int(request["size"]),
    )
    if not temporary.endswith(TEMPORARY):
        raise HostProblem(
            f"a slot file that is not sealed yet must end in {TEMPORARY}, so that it can be"
            f" recognised: {temporary}"
        )
    source, target = os.path.join(folder, temporary), os.path.join(folder, name)
    if not os.path.lexists(source) and os.path.lexists(target):
        source = target
    digest = _made_durable(source, size)
    sidecar = {**request["sidecar"], "file": name, "bytes": size, "sha256": digest, "attempts": []}
    fault = _fault(sidecar, _FIELDS)
    if fault:
        raise HostProblem(f"the description of slot file {name} is not complete: {fault}")
    _write_sidecar(folder, sidecar)
    try:
        os.replace(source, target)
        files.sync_folder(folder)
    except OSError as error:
        raise HostProblem(f"cannot put slot file {target} in place: {explain(error)}") from error
    return {
        "file": name,
        "bytes": size,
        "sha256": digest,
        "removed": _drop_replaced(folder, sidecar),
    }


def check(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Compare a slot file, read whole, with its sidecar.

    Answer the tokens it starts with, or None and what it looks like.
    """
    folder, name = files.absolute(request["directory"], directory), _name(request["file"])
    sidecar = _sidecar(folder, name)
    with _open(os.path.join(folder, name)) as file:
        size = os.fstat(file.fileno()).st_size
        if size != sidecar["bytes"]:
            wanted = sidecar["bytes"]
            raise HostProblem(
                f"slot file {name} has {size} bytes, not {wanted}; it is damaged and will not be"
                " used"
            )
        if _sha256(file) != sidecar["sha256"]:
            raise HostProblem(
                f"slot file {name} is not what was saved: its sha256 differs; it is damaged and"
                " will not be used"
            )
        try:
            tokens, layout = slotfile.tokens(file, sidecar["tokens"])
        except HostProblem as problem:
            raise HostProblem(
                f"slot file {name} is not what was described: {problem}; it will not be used"
            ) from problem
    return {
        "file": name,
        "bytes": size,
        "tokens": tokens,
        "n": None if tokens is None else len(tokens),
        "layout": layout,
    }


def note(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Write into a sidecar what came of a restore.

    The outcome replaces this unit's open attempt.
    """
    folder, name = files.absolute(request["directory"], directory), _name(request["file"])
    sidecar = _sidecar(folder, name)
    attempt = {
        "identity": request["identity"],
        "outcome": request["outcome"],
        "reason": request.get("reason", ""),
    }
    attempts = sidecar["attempts"]
    if (
        attempts
        and attempts[-1]["identity"] == attempt["identity"]
        and attempts[-1]["outcome"] == "open"
    ):
        attempts = attempts[:-1]
    if not attempts or attempts[-1] != attempt:
        attempts = [*attempts, attempt]
    _write_sidecar(folder, {**sidecar, "attempts": attempts[-ATTEMPTS_LIMIT:]})
    return {"file": name, "outcome": attempt["outcome"]}


def saved(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Answer the newest saved file of every slot and fingerprint, the free space, and in words what is damaged."""
    folder = files.absolute(request["directory"], directory)
    listing, above = _listing(folder), files.nearest(folder)
    newest = {(sidecar["slot"], sidecar["fingerprint"]): sidecar for sidecar in listing.good}
    return {
        "slots": [newest[place] for place in sorted(newest)],
        "free_bytes": files.free_bytes(folder),
        "held_bytes": (
            sum(sidecar["bytes"] for sidecar in listing.good) + _sizes(folder, listing.useless)
        ),
        "folder": folder,
        "obstacle": files.obstacle(above) or ("" if os.access(above, os.W_OK) else "another's"),
        "nearest": above,
        "problems": listing.problems,
    }


def room(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Make the folder, delete leftovers, then the oldest slot files, until `needed` bytes fit.

    Nothing when they never would.

    Where that is possible, `spare` bytes more are made free.
    """
    folder, budget = files.absolute(request["directory"], directory), int(request["budget"])
    needed, spare = int(request["needed"]), int(request["spare"])
    os.makedirs(folder, mode=0o700, exist_ok=True)
    keep = {name for kept in request["keep"] for name in (kept, kept + SIDECAR, kept + TEMPORARY)}
    listing = _listing(folder)
    useless = [name for name in listing.useless if name not in keep]
    evictable = [sidecar for sidecar in listing.good if sidecar["file"] not in keep]
    held = sum(sidecar["bytes"] for sidecar in listing.good)
    gain = sum(sidecar["bytes"] for sidecar in evictable)
    free = files.free_bytes(folder) or 0
    possible = max(0, min(budget - held + gain, free + gain + _sizes(folder, useless)))
    if needed > possible:
        raise HostProblem(
            f"{needed} bytes are needed for saved conversations in {folder}, but only {possible}"
            f" can be made free there (budget {budget}, free on the disk {free}); raise the budget,"
            " or make space"
        )
    _remove(folder, useless)
    removed, enough = list(useless), min(needed + spare, possible)
    for sidecar in evictable:
        if enough <= min(budget - held, files.free_bytes(folder) or 0):
            break
        _remove(folder, [sidecar["file"] + SIDECAR, sidecar["file"]])
        removed.append(sidecar["file"])
        held -= sidecar["bytes"]
    return {"removed": removed, "free_bytes": files.free_bytes(folder)}


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
    return SlotListing(
        sorted(good, key=lambda one: (one["saved_at"], one["file"])), problems, useless
    )


def _whole(folder: str, file: str) -> dict[str, Any]:
    """Return the sidecar of a slot file that has the size it should; raise HostProblem."""
    sidecar, path = _sidecar(folder, file), os.path.join(folder, file)
    if _size(path) != sidecar["bytes"]:
        found = f"has {_size(path)} bytes" if os.path.lexists(path) else "is missing"
        raise HostProblem(
            f"slot file {file} {found}, but {sidecar['bytes']} bytes were saved; it will not be"
            " used"
        )
    return sidecar


def _sidecar(folder: str, file: str) -> dict[str, Any]:
    """Return the sidecar of a slot file; raise HostProblem when it is missing or damaged."""
    path = os.path.join(folder, file + SIDECAR)
    try:
        sidecar = json.loads(files.read_bounded(path, SIDECAR_LIMIT))
    except OSError as error:
        raise HostProblem(
            f"slot file {file} has no readable description {path}: {explain(error)}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise HostProblem(
            f"the description {path} is damaged: it is not JSON; its slot file will not be used"
        ) from error
    fault = _fault(sidecar, _FIELDS) or (
        f"it describes {sidecar['file']}" if sidecar["file"] != file else ""
    )
    if fault:
        raise HostProblem(
            f"the description {path} is damaged or from another version: {fault}; its slot file"
            " will not be used"
        )
    return dict(sidecar)


def _fault(value: object, fields: dict[str, Any]) -> str:
    """Return what is wrong with a value that should have exactly these fields, "" when nothing is."""
    if not isinstance(value, dict):
        return "it is not an object"
    if set(value) != set(fields):
        return f"its keys differ in {', '.join(sorted(map(str, set(value) ^ set(fields))))}"
    for key, kind in fields.items():
        if (
            not isinstance(value[key], kind)
            or isinstance(value[key], bool)
            or not _possible(key, value[key])
        ):
            return f"{key} is {json.dumps(value[key])[:80]}"
    within = [_fault({**_PROCESS, **value["identity"]}, _IDENTITY)] if "identity" in fields else []
    within += [_fault(attempt, _ATTEMPT) for attempt in value.get("attempts", ())]
    return next((fault for fault in within if fault), "")


def _possible(key: str, value: int | str) -> bool:
    """Return whether a field's value, which is of its kind, is ever written."""
    return value in _OUTCOMES if key == "outcome" else key not in _COUNTS or int(value) >= 0


def _write_sidecar(folder: str, sidecar: dict[str, Any]) -> None:
    """Write a sidecar durably."""
    files.write_durably(
        os.path.join(folder, sidecar["file"] + SIDECAR),
        json.dumps(sidecar, sort_keys=True).encode(),
    )


def _drop_replaced(folder: str, newest: dict[str, Any]) -> list[str]:
    """Delete the files of a slot that are not newer, sidecars first, but for the last one of another fingerprint.

    That is of the definition, or the build, before: who goes back to it finds it.
    """
    older = [
        sidecar
        for sidecar in _listing(folder).good
        if sidecar["slot"] == newest["slot"]
        and sidecar["file"] != newest["file"]
        and sidecar["saved_at"] <= newest["saved_at"]
    ]
    before = [
        sidecar["file"] for sidecar in older if sidecar["fingerprint"] != newest["fingerprint"]
    ][-1:]
    replaced = [sidecar["file"] for sidecar in older if sidecar["file"] not in before]
    for file in replaced:
        _remove(folder, [file + SIDECAR, file])
    return replaced


def _remove(folder: str, names: list[str]) -> None:
    """Delete files that may be gone already."""
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))


def _name(text: object) -> str:
    """Return a plain file name; raise HostProblem for one that leaves its directory."""
    if (
        not isinstance(text, str)
        or text != os.path.basename(text)
        or text in {"", ".", ".."}
        or "\0" in text
    ):
        raise HostProblem(f"{text!r} is not a plain file name")
    return text


def _open(path: str) -> BinaryIO:
    """Open a slot file; raise HostProblem when it is missing, a link, or not a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise HostProblem(f"slot file {path} cannot be opened: {explain(error)}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise HostProblem(f"{path} is not a regular file")
    return open(descriptor, "rb")


def _size(path: str) -> int:
    """Return the size of a file, 0 when it cannot be seen."""
    with contextlib.suppress(OSError):
        return os.lstat(path).st_size
    return 0


def _sizes(folder: str, names: list[str]) -> int:
    """Return the size of files together."""
    return sum(_size(os.path.join(folder, name)) for name in names)


def _made_durable(path: str, size: int) -> str:
    """Check a file's size, make its content durable and private, and return its sha256."""
    with _open(path) as file:
        found = os.fstat(file.fileno()).st_size
        if found != size:
            raise HostProblem(
                f"the engine wrote {found} bytes to {path}, but said {size}; is the disk full?"
            )
        try:
            os.fchmod(file.fileno(), 0o600)
            os.fsync(file.fileno())
            return _sha256(file)
        except OSError as error:
            raise HostProblem(f"cannot make {path} durable: {explain(error)}") from error


def _sha256(file: BinaryIO) -> str:
    """Return the digest of a file from its start."""
    digest = hashlib.sha256()
    file.seek(0)
    for chunk in iter(lambda: file.read(_CHUNK), b""):
        digest.update(chunk)
    return digest.hexdigest()
