"""Saved conversation slots: files with a sidecar each, sealed, checked, listed and evicted.

A slot file counts only with its sidecar `FILE.slot.json`, which names its size and sha256.
Everything that ends in `.tmp` is a leftover of something that was interrupted. Nothing else in the
directory is ever touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from typing import Any, BinaryIO, NamedTuple

from reconciler.onhost import files, sidecars, slotfile
from reconciler.onhost.problem import HostProblem, explained

TEMPORARY = ".tmp"
ATTEMPTS_LIMIT = 20
ENTRIES_LIMIT = 10_000

LEFTOVER_SECONDS = 3600.0
"""How old a file without a description is that nobody is saving any more, in a shared folder."""

_CHUNK = 4 * 1024 * 1024
_NO_NAMES = ("", ".", "..")


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
    source, target = _places(folder, request)
    name = os.path.basename(target)
    sealed = {"file": name, "bytes": size, "sha256": _made_durable(source, size)}
    sidecar = {**request["sidecar"], **sealed, "attempts": []}
    fault = sidecars.fault(sidecar)
    if fault:
        raise HostProblem(f"the description of slot file {name} is not complete: {fault}")
    # The sidecar first: of a file that has its name without one, nothing would be known.
    sidecars.write(folder, sidecar)
    _put_in_place(source, target)
    return {
        **sealed,
        "removed": _drop_replaced(folder, sidecar, shared=request.get("shared", False)),
    }


def _places(folder: str, request: dict[str, Any]) -> tuple[str, str]:
    """Find where a file is that is to be sealed, and where it belongs."""
    temporary, name = _name(request["temporary"]), _name(request["file"])
    if not temporary.endswith(TEMPORARY):
        raise HostProblem(
            f"a slot file that is not sealed yet must end in {TEMPORARY}, so that it can be"
            f" recognised: {temporary}"
        )
    source, target = os.path.join(folder, temporary), os.path.join(folder, name)
    # A seal that was interrupted after it had given the file its name is done again.
    is_there_already = os.path.lexists(target) and not os.path.lexists(source)
    return target if is_there_already else source, target


def _put_in_place(source: str, target: str) -> None:
    with explained(f"cannot put slot file {target} in place"):
        os.replace(source, target)
        files.sync_folder(os.path.dirname(target))


def check(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Compare a slot file, read whole, with its sidecar.

    Answer the tokens it starts with, or None and what it looks like.
    """
    folder, name = files.absolute(request["directory"], directory), _name(request["file"])
    sidecar = sidecars.read(folder, name)
    with _open(os.path.join(folder, name)) as file:
        _refuse_damaged(file, sidecar)
        tokens, layout = _tokens(file, sidecar)
    return {
        "file": name,
        "bytes": sidecar["bytes"],
        "tokens": tokens,
        "n": None if tokens is None else len(tokens),
        "layout": layout,
    }


def _tokens(file: BinaryIO, sidecar: dict[str, Any]) -> tuple[list[int] | None, str]:
    try:
        return slotfile.tokens(file, sidecar["tokens"])
    except HostProblem as problem:
        raise HostProblem(
            f"slot file {sidecar['file']} is not what was described: {problem}; it will not be used"
        ) from problem


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
    sidecar = sidecars.read(folder, name)
    identity, outcome = request["identity"], request["outcome"]
    attempt = {"identity": identity, "outcome": outcome, "reason": request.get("reason", "")}
    attempts = _noted(sidecar["attempts"], attempt)
    sidecars.write(folder, {**sidecar, "attempts": attempts[-ATTEMPTS_LIMIT:]})
    return {"file": name, "outcome": outcome}


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
    listing = _listing(folder)
    newest = {(sidecar["slot"], sidecar["fingerprint"]): sidecar for sidecar in listing.good}
    return {
        "slots": [newest[place] for place in sorted(newest)],
        "free_bytes": files.free_bytes(folder),
        "held_bytes": _held(listing.good) + _sizes(folder, listing.useless),
        "folder": folder,
        "problems": listing.problems,
        **_obstacle(files.nearest(folder)),
    }


def _obstacle(above: str) -> dict[str, Any]:
    """Tell why nothing can be written into a folder, "" when this user can."""
    closed = "" if os.access(above, os.W_OK) else "another's"
    return {"obstacle": files.obstacle(above) or closed, "nearest": above}


def _held(described: list[dict[str, Any]]) -> int:
    """Add up the bytes of slot files."""
    return sum(sidecar["bytes"] for sidecar in described)


def room(request: dict[str, Any], directory: str) -> dict[str, Any]:
    """Make the folder, delete leftovers, then the oldest slot files, until `needed` bytes fit.

    Where that is possible, `spare` bytes more are made free. Raise HostProblem, with nothing
    deleted, when they never would fit.
    """
    folder, needed = files.absolute(request["directory"], directory), int(request["needed"])
    os.makedirs(folder, mode=0o700, exist_ok=True)
    stock = _stock(folder, request["keep"], shared=request.get("shared", False))
    left = int(request["budget"]) - stock.held
    possible = _possible(folder, stock, left)
    if needed > possible:
        raise HostProblem(_no_room(folder, request, possible))
    _remove(folder, stock.useless)
    evicted = _evict(folder, stock.evictable, min(needed + int(request["spare"]), possible), left)
    return {"removed": [*stock.useless, *evicted], "free_bytes": files.free_bytes(folder)}


class _Stock(NamedTuple):
    """What may be deleted in a folder, oldest first, and the bytes of all that is good in it."""

    useless: list[str]
    evictable: list[dict[str, Any]]
    held: int


def _stock(folder: str, kept: list[str], *, shared: bool) -> _Stock:
    keep = {name + ending for name in kept for ending in ("", sidecars.ENDING, TEMPORARY)}
    listing = _listing(folder)
    # What is being saved there by another model has no description yet.
    young = {name for name in listing.useless if shared and _is_young(folder, name)}
    useless = [name for name in listing.useless if name not in keep | young]
    evictable = [sidecar for sidecar in listing.good if sidecar["file"] not in keep]
    return _Stock(useless, evictable, _held(listing.good))


def _is_young(folder: str, name: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.getmtime(os.path.join(folder, name)) > time.time() - LEFTOVER_SECONDS
    # It has its own name by now.
    return False


def _possible(folder: str, stock: _Stock, left: int) -> int:
    """Count the bytes that could be made free, of the budget (`left` now) and on the disk."""
    gain, free = _held(stock.evictable), files.free_bytes(folder) or 0
    return max(0, min(left + gain, free + gain + _sizes(folder, stock.useless)))


def _no_room(folder: str, request: dict[str, Any], possible: int) -> str:
    needed, budget, free = request["needed"], request["budget"], files.free_bytes(folder) or 0
    return (
        f"{needed} bytes are needed for saved conversations in {folder}, but only {possible}"
        f" can be made free there (budget {budget}, free on the disk {free}); raise the budget,"
        " or make space"
    )


def _evict(folder: str, described: list[dict[str, Any]], enough: int, left: int) -> list[str]:
    """Delete slot files until enough is free, of the budget (`left` now) and on the disk."""
    removed = []
    for sidecar in described:
        if enough <= min(left, files.free_bytes(folder) or 0):
            break
        _delete(folder, sidecar["file"])
        removed.append(sidecar["file"])
        left += sidecar["bytes"]
    return removed


def _delete(folder: str, file: str) -> None:
    # The sidecar first: left alone by a crash, it would be told of as damaged.
    _remove(folder, [file + sidecars.ENDING, file])


def _listing(folder: str) -> SlotListing:
    """Read every sidecar of a directory."""
    names = _names(folder)
    present = set(names)
    listing = SlotListing([], [], [name for name in names if name.endswith(TEMPORARY)])
    for name in (name for name in names if name.endswith(sidecars.ENDING)):
        file = name[: -len(sidecars.ENDING)]
        try:
            listing.good.append(_whole(folder, file))
        except HostProblem as problem:
            listing.problems.append(str(problem))
            listing.useless.extend([name, file] if file in present else [name])
    listing.good.sort(key=_age)
    return listing


def _names(folder: str) -> list[str]:
    """List what is in a folder, as far as the limit goes; nothing where it is not there."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(os.listdir(folder))[:ENTRIES_LIMIT]
    return []


def _age(sidecar: dict[str, Any]) -> tuple[float, str]:
    return sidecar["saved_at"], sidecar["file"]


def _whole(folder: str, file: str) -> dict[str, Any]:
    """Read the sidecar of a slot file that has the size it should; raise HostProblem."""
    sidecar, path = sidecars.read(folder, file), os.path.join(folder, file)
    if _size(path) != sidecar["bytes"]:
        found = f"has {_size(path)} bytes" if os.path.lexists(path) else "is missing"
        raise HostProblem(
            f"slot file {file} {found}, but {sidecar['bytes']} bytes were saved; it will not be"
            " used"
        )
    return sidecar


def _drop_replaced(folder: str, newest: dict[str, Any], *, shared: bool) -> list[str]:
    """Delete the files of a slot that are not newer, but the last one of another fingerprint.

    In a folder that other models may use, all of other fingerprints stay: they may be theirs.
    """
    replaced = _replaced(_listing(folder).good, newest, shared=shared)
    for file in replaced:
        _delete(folder, file)
    return replaced


def _replaced(
    described: list[dict[str, Any]], newest: dict[str, Any], *, shared: bool
) -> list[str]:
    older = [sidecar for sidecar in described if _is_before(sidecar, newest)]
    others = [one["file"] for one in older if one["fingerprint"] != newest["fingerprint"]]
    # The last is of the definition, or the build, before: going back to it finds it (ADR 0013).
    kept = others if shared else others[-1:]
    return [one["file"] for one in older if one["file"] not in kept]


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
    if not isinstance(text, str) or text in _NO_NAMES or not {"/", "\0"}.isdisjoint(text):
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
        number = file.fileno()
        found = os.fstat(number).st_size
        if found != size:
            raise HostProblem(
                f"the engine wrote {found} bytes to {path}, but said {size}; is the disk full?"
            )
        with explained(f"cannot make {path} durable"):
            os.fchmod(number, 0o600)
            os.fsync(number)
            return _sha256(file)


def _sha256(file: BinaryIO) -> str:
    """Digest a file from its start."""
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
