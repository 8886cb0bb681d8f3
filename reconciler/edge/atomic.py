"""Write files so that a reader, and a power cut, see the old content or the new one."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from reconciler.errors import WriteFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Change: TypeAlias = "tuple[str, Callable[[], None]]"
"""What makes a new file like an old one, and the word for what it changes."""

_NO_OTHER_FILE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY}
"""What the system answers where a folder takes no other file, or where a container has mounted this
file by itself."""

_NO_ATTRIBUTES = {errno.ENOTSUP, errno.ENOSYS}
_REMEDIES = {
    errno.EMFILE: "let it open more files (`ulimit -n`)",
    errno.ENFILE: "let this machine open more files (sysctl fs.file-max)",
    errno.EFBIG: "let it write larger files (`ulimit -f`)",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EROFS: "mount it for writing",
}


def remedy(error: Exception) -> str:
    """Look up what to do about a write that the system refused."""
    return _REMEDIES.get(getattr(error, "errno", None) or 0, "free space or fix the permissions")


def write_file(
    path: Path, content: bytes, mode: int = 0o600, *, owner: tuple[int, int] | None = None
) -> None:
    """Replace a file of ours durably: temporary file beside it, fsync, rename, fsync of the folder.

    It is of the user and group `owner`, where that is given. Raise WriteFailed.
    """

    def fit(descriptor: int) -> None:
        os.fchmod(descriptor, mode)
        if owner is not None:
            os.fchown(descriptor, *owner)

    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _replace(path, content, fit)
    except OSError as error:
        raise _failed(path, error) from error


def rewrite(path: Path, content: bytes) -> tuple[str, ...]:
    """Replace the content of an operator's file, and keep its owner, group, mode, ACL and labels.

    Return what could not be kept; raise WriteFailed. A link is followed. A file is overwritten
    where it is, which a power cut may leave half done, when it has several names, when no other may
    stand beside it, or when another could not be made alike.
    """
    try:
        path = Path(os.path.realpath(path, strict=True))
        old, kept = path.stat(), _attributes(path)
        # A new file would take only one of the names; the others would keep the old content.
        if old.st_nlink > 1:
            _overwrite(path, content)
            return ()
        return _rewritten(path, content, partial(_alike, old, kept))
    except OSError as error:
        raise _failed(path, error) from error


def _rewritten(path: Path, content: bytes, alike: Callable[[int], list[str]]) -> tuple[str, ...]:
    """Replace a file by one that is just alike, or else overwrite it, or else lose some of that."""
    if _replaced_by_its_like(path, content, alike):
        return ()
    try:
        _overwrite(path, content)
    except PermissionError:
        lost: list[str] = []
        _replace(path, content, lambda descriptor: lost.extend(alike(descriptor)))
        return tuple(lost)
    return ()


def _replaced_by_its_like(path: Path, content: bytes, alike: Callable[[int], list[str]]) -> bool:
    def strictly(descriptor: int) -> None:
        if alike(descriptor):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    try:
        _replace(path, content, strictly)
    except OSError as error:
        if error.errno not in _NO_OTHER_FILE:
            raise
        return False
    return True


def _replace(path: Path, content: bytes, prepare: Callable[[int], None]) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            prepare(file.fileno())
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    # Until its folder is durable, a power cut may bring the old name back.
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _overwrite(path: Path, content: bytes) -> None:
    """Write where the file is, and put the old content back if not all of it can be written."""
    with path.open("r+b", buffering=0) as file:
        before = file.read()
        try:
            _fill(file.fileno(), content)
        except OSError:
            with suppress(OSError):
                _fill(file.fileno(), before)
            raise


def _fill(descriptor: int, content: bytes) -> None:
    written = 0
    while written < len(content):
        written += os.pwrite(descriptor, content[written:], written)
    os.ftruncate(descriptor, len(content))
    os.fsync(descriptor)


def _alike(old: os.stat_result, kept: dict[str, bytes], descriptor: int) -> list[str]:
    """Copy to a new file what the old one has besides its content, and list what is refused."""
    # A change of owner clears bits of the mode, and the mode would move the mask of an ACL.
    changes: list[Change] = [
        *_of_owner(old, descriptor),
        ("its mode", partial(os.fchmod, descriptor, stat.S_IMODE(old.st_mode))),
        *_of_attributes(kept, descriptor),
    ]
    return [name for name, change in changes if not _done(change)]


def _of_owner(old: os.stat_result, descriptor: int) -> Iterator[Change]:
    new = os.fstat(descriptor)
    if new.st_uid != old.st_uid:
        yield "its owner", partial(os.fchown, descriptor, old.st_uid, -1)
    if new.st_gid != old.st_gid:
        yield "its group", partial(os.fchown, descriptor, -1, old.st_gid)


def _of_attributes(kept: dict[str, bytes], descriptor: int) -> Iterator[Change]:
    mine = _attributes(descriptor)
    for name in mine.keys() - kept.keys():
        yield name, partial(os.removexattr, descriptor, name)
    for name, value in kept.items():
        if value != mine.get(name):
            yield name, partial(os.setxattr, descriptor, name, value)


def _done(change: Callable[[], None]) -> bool:
    try:
        change()
    except OSError:
        return False
    return True


def _attributes(file: Path | int) -> dict[str, bytes]:
    """Read the extended attributes of a file: ACL, security label, and what users put there."""
    try:
        return {name: os.getxattr(file, name) for name in os.listxattr(file)}
    except OSError as error:
        if error.errno in _NO_ATTRIBUTES:
            return {}
        raise


def _failed(path: Path, error: OSError) -> WriteFailed:
    return WriteFailed(f"{path} cannot be written: {error.strerror}; {remedy(error)}")
