"""Write files so that a reader, and a power cut, see the old content or the new one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from reconciler.errors import WriteFailed


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
        raise WriteFailed(f"{path} cannot be written: {error.strerror}; free space or mend the permissions") from error
