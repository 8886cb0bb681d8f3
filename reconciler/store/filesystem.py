"""File systems: what a folder lies on, because a journal needs a disk that keeps its word."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

MOUNTS = Path("/proc/self/mountinfo")
NETWORK = {
    *(
        "9p",
        "acfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
    ),
    *("nfs4", "ocfs2", "orangefs", "pvfs2", "smb3", "smbfs", "vboxsf"),
    *(
        "ceph-fuse",
        "curlftpfs",
        "davfs2",
        "gcsfuse",
        "gvfsd-fuse",
        "juicefs",
        "rclone",
        "s3fs",
        "smbnetfs",
        "sshfs",
    ),
}
"""Types whose files another machine keeps, without the `fuse.` that stands before those of the last
line."""

_ESCAPED = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """One mounted file system: where, and of which type."""

    point: str
    kind: str

    @property
    def over_network(self) -> bool:
        """Tell whether another machine keeps the files."""
        return self.kind.removeprefix("fuse.") in NETWORK


def mount_of(folder: Path, mountinfo: str) -> Mount | None:
    """Return what a resolved path lies on: of the mounts above it the deepest, and of those the last; None when none is."""
    found = None
    for mount in map(_parsed, filter(None, mountinfo.split("\n"))):
        if folder.is_relative_to(mount.point) and (
            found is None or len(mount.point) >= len(found.point)
        ):
            found = mount
    return found


def mounted_on(folder: Path, mounts: Path = MOUNTS) -> Mount | None:
    """Return what a folder lies on, or will when it is made.

    None where the system does not tell.
    """
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
