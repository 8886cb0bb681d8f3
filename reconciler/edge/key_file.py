"""Key file: the keys of the gateway, read again whenever somebody has changed them."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from reconciler.edge.atomic import remedy, write_file
from reconciler.errors import Unreachable, WriteFailed
from reconciler.model.access_key import KeyRing

ID_BYTES, SECRET_BYTES = 4, 32
ROOT = 0
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class KeyFile:
    """The keys at a path; none where there is no such file, or an empty ring."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, ...] | None = None
        self._ring: KeyRing | None = None

    def ring(self) -> KeyRing | None:
        """The keys as they are now, None without any.

        Raise Unreachable where they cannot be read: nobody may come in then.
        """
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error
        seen = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode, found.st_uid)
        if seen != self._seen:
            self._refuse_others(found)
            self._ring = self._read()
            self._seen = seen
        return self._ring

    def _refuse_others(self, found: os.stat_result) -> None:
        """Raise Unreachable where another user may let anybody in."""
        ours = {ROOT, os.geteuid(), self._path.parent.stat().st_uid}
        mode = stat.S_IMODE(found.st_mode)
        if found.st_uid not in ours or mode & OTHERS_WRITE:
            who = f"it is of the user {found.st_uid} and has the mode {mode:04o}"
            raise self._unreadable(f"{who}, so others may write it; `chown` it and `chmod 600` it")

    def _read(self) -> KeyRing | None:
        try:
            ring = KeyRing.model_validate_json(self._path.read_bytes())
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"])) or "its text"
            raise self._unreadable(f"{place} is not what `reconciler key` writes") from None
        return ring if ring.keys else None

    def _unreadable(self, why: str) -> Unreachable:
        return Unreachable(f"{self._path} cannot be read: {why}; no request is let in until it can")

    def change(self, changed: Callable[[KeyRing], KeyRing]) -> None:
        """Replace the keys durably, one change after the other; raise Unreachable or WriteFailed.

        What `changed` raises leaves them as they are.
        """
        with self._alone() as owner:
            ring = changed(self.ring() or KeyRing())
            write_file(self._path, ring.model_dump_json(indent=2).encode(), owner=owner)

    @contextmanager
    def _alone(self) -> Iterator[tuple[int, int] | None]:
        """Let no other process change them; give whose they are to be, None for ours."""
        beside = self._path.with_suffix(".lock")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            said = f"{beside} cannot be opened: {error.strerror}; {remedy(error)}"
            raise WriteFailed(said) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            owner = self._owner()
            if owner is not None:
                os.fchown(descriptor, *owner)
            yield owner
        finally:
            os.close(descriptor)

    def _owner(self) -> tuple[int, int] | None:
        # What root makes in the folder of another user has to be readable for that one.
        folder = self._path.parent.stat()
        return (folder.st_uid, folder.st_gid) if os.geteuid() == ROOT else None


def new_secret() -> tuple[str, str]:
    """An id and a secret of 256 bits that nobody has seen."""
    return secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES)
