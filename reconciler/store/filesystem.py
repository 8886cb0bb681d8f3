"""File systems: what a folder lies on, because a journal needs a disk that keeps its word."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

MOUNTS = Path("/proc/self/mountinfo")
# SQLite's write-ahead log needs all its processes on one machine (sqlite.org/wal.html), and what a
# network file system has synced or locked may not be.
NETWORK = {
    "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs",
    "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "pvfs2", "smb3", "smbfs", "vboxsf",
    # These stand behind `fuse.` in the kernel's list.
    "ceph-fuse", "curlftpfs", "davfs2", "gcsfuse", "gvfsd-fuse", "juicefs", "rclone", "s3fs",
    "smbnetfs", "sshfs",
}  # fmt: skip
"""Types of file systems whose files another machine keeps."""

_ESCAPED = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """One mounted file system: where, and of which type."""

    point: str
    kind: str

    @property
    def over_network(self) -> bool:
        """Whether another machine keeps the files."""
        return self.kind.removeprefix("fuse.") in NETWORK


def mount_of(folder: Path, mountinfo: str) -> Mount | None:
    """Find what a resolved path lies on, None where no mount is above it."""
    mounts = map(_parsed, filter(None, mountinfo.split("\n")))
    above = [mount for mount in mounts if folder.is_relative_to(mount.point)]
    # The deepest; of several at one point the last, which covers those before it.
    return max(reversed(above), key=lambda mount: len(mount.point), default=None)


def mounted_on(folder: Path, mounts: Path = MOUNTS) -> Mount | None:
    """Find what a folder lies on, or will when it is made; None where the system does not tell."""
    try:
        mountinfo = mounts.read_bytes()
    except OSError:
        return None
    return mount_of(Path(os.path.realpath(folder)), mountinfo.decode("utf-8", "surrogateescape"))


def _parsed(line: str) -> Mount:
    """Read `36 35 98:0 / /point options [tag ...] - type source options`.

    A space in a name is written as its octal code.
    """
    before, _, after = line.partition(" - ")
    point = _ESCAPED.sub(lambda code: chr(int(code[1], 8)), before.split(" ")[4])
    return Mount(point, after.split(" ")[0])
