"""Write files so that a reader, and a power cut, see the old content or the new one."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import WriteFailed

if TYPE_CHECKING:
    from collections.abc import Callable

_NO_OTHER_FILE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY}
"""What a folder answers that takes no file beside this one, or where this file is mounted by
itself, as containers have it."""

_NO_ATTRIBUTES = {errno.ENOTSUP, errno.ENOSYS}
_REMEDIES = {
    errno.EMFILE: "let it open more files (`ulimit -n`)",
    errno.ENFILE: "let this machine open more files (sysctl fs.file-max)",
    errno.EFBIG: "let it write larger files (`ulimit -f`)",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EROFS: "mount it for writing",
}


def remedy(error: Exception) -> str:
    """Return what to do about a write that the system refused."""
    return _REMEDIES.get(getattr(error, "errno", None) or 0, "free space or fix the permissions")


def write_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file of ours durably: temporary file beside it, fsync, rename, fsync of the folder.

    Raise WriteFailed.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _replace(path, content, lambda descriptor: os.fchmod(descriptor, mode))
    except OSError as error:
        raise _failed(path, error) from error


def rewrite(path: Path, content: bytes) -> tuple[str, ...]:
    """Replace the content of somebody's file, and keep its owner, group, mode, ACL and labels.

    Return what could not be kept.

    A link is followed. A file is overwritten where it is, which a power cut may leave half done,
    when it has several names, when no other may stand beside it, or when another could not be made
    alike. Raise WriteFailed.
    """
    try:
        path = Path(os.path.realpath(path, strict=True))
        old, kept = path.stat(), _attributes(path)
        if old.st_nlink > 1:
            _overwrite(path, content)
            return ()
        return _rewritten(path, content, partial(_alike, old, kept))
    except OSError as error:
        raise _failed(path, error) from error


def _rewritten(path: Path, content: bytes, alike: Callable[[int], list[str]]) -> tuple[str, ...]:
    def strictly(descriptor: int) -> None:
        if alike(descriptor):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    try:
        _replace(path, content, strictly)
    except OSError as error:
        if error.errno not in _NO_OTHER_FILE:
            raise
    else:
        return ()
    try:
        _overwrite(path, content)
    except PermissionError:
        lost: list[str] = []
        _replace(path, content, lambda descriptor: lost.extend(alike(descriptor)))
        return tuple(lost)
    return ()


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
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _overwrite(path: Path, content: bytes) -> None:
    """Write where the file is; what cannot be written whole is as before, as far as that can be."""
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
    """Give a new file what the old one had besides its content.

    Return what that was not allowed for.
    """
    new, mine = os.fstat(descriptor), _attributes(descriptor)
    changes: list[tuple[str, Callable[[], None]]] = []
    if new.st_uid != old.st_uid:
        changes.append(("its owner", partial(os.fchown, descriptor, old.st_uid, -1)))
    if new.st_gid != old.st_gid:
        changes.append(("its group", partial(os.fchown, descriptor, -1, old.st_gid)))
    # An ACL comes after the mode, which would move its mask.
    changes.append(("its mode", partial(os.fchmod, descriptor, stat.S_IMODE(old.st_mode))))
    changes += [
        (name, partial(os.removexattr, descriptor, name)) for name in mine.keys() - kept.keys()
    ]
    changes += [
        (name, partial(os.setxattr, descriptor, name, kept[name]))
        for name in kept
        if kept[name] != mine.get(name)
    ]
    return [name for name, change in changes if not _done(change)]


def _done(change: Callable[[], None]) -> bool:
    try:
        change()
    except OSError:
        return False
    return True


def _attributes(file: Path | int) -> dict[str, bytes]:
    """Return the extended attributes of a file: ACL, security label, and whatever users put there."""
    try:
        return {name: os.getxattr(file, name) for name in os.listxattr(file)}
    except OSError as error:
        if error.errno in _NO_ATTRIBUTES:
            return {}
        raise


def _failed(path: Path, error: OSError) -> WriteFailed:
    return WriteFailed(f"{path} cannot be written: {error.strerror}; {remedy(error)}")
