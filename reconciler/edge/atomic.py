"""Write files so that a reader, and a power cut, see the old content or the new one."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from reconciler.errors import WriteFailed

_REMEDIES = {
    errno.EMFILE: "let it open more files (`ulimit -n`)",
    errno.ENFILE: "let this machine open more files (sysctl fs.file-max)",
    errno.EFBIG: "let it write larger files (`ulimit -f`)",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def remedy(error: OSError) -> str:
    """Return what to do about a write that the system refused."""
    return _REMEDIES.get(error.errno or 0, "free space or mend the permissions")


def write_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace a file durably: temporary file beside it, fsync, rename, fsync of the folder; raise WriteFailed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fchmod(file.fileno(), mode)
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
    except OSError as error:
        raise WriteFailed(f"{path} cannot be written: {error.strerror}; {remedy(error)}") from error
