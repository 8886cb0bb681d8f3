"""What is in the way: the one exception of this program, and an objection, as sentences."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self


class HostProblem(Exception):
    """What was found, where, what was expected and what to do next."""


class Objection(str):
    """What was `found`, and the `fix`; as a string, the sentence of both, empty for nothing."""

    __slots__ = ("fix", "found")
    found: str
    fix: str

    def __new__(cls, found: str = "", fix: str = "") -> Self:
        """Join both parts."""
        objection = super().__new__(cls, f"{found}; {fix}" if fix else found)
        objection.found, objection.fix = found, fix
        return objection

    @property
    def parts(self) -> dict[str, str]:
        """Both, as an answer has them."""
        return {"found": self.found, "fix": self.fix}


NO_OBJECTION = Objection()

_SENTENCES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file may not grow that large here (see `ulimit -f`)",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.ENOENT: "there is no such file or directory",
    errno.EISDIR: "it is a directory",
    errno.ENOTDIR: "a part of the path is not a directory",
    errno.ELOOP: "it is a symbolic link, which is not followed here",
    errno.EIO: "the disk reports an input/output error",
}


def explain(error: OSError) -> str:
    """Put into words what an operating system error means, without its number and file."""
    return _SENTENCES.get(error.errno or 0, error.strerror or type(error).__name__)


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn an OSError into a HostProblem: what failed, and what that error means."""
    try:
        yield
    except OSError as error:
        raise HostProblem(f"{what}: {explain(error)}") from error
