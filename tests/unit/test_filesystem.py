"""What a folder lies on, and which file systems the journal refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import NetworkFileSystem
from reconciler.model.records import Retry
from reconciler.store.filesystem import Mount, mount_of, mounted_on
from reconciler.store.journal_file import JournalFile
from tests.clocks import StoppedClock

MOUNTINFO = r"""25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
26 25 0:23 / /run rw - tmpfs tmpfs rw
27 25 0:40 / /home rw,nosuid shared:2 master:1 - nfs4 nas:/home rw,vers=4.2
28 27 8:2 /keep /home/ann/keep rw - xfs /dev/sda2 rw
29 25 0:41 / /mnt/my\040disk rw - cifs //nas/my\040disk rw
30 25 0:42 / /mnt/back\134slash rw - fuse.sshfs ann@nas: rw
31 25 0:43 / /layers rw - overlay overlay rw,lowerdir=/a,upperdir=/b
32 27 0:40 /ann/state /srv/state rw - nfs4 nas:/home rw
33 25 0:44 / /mnt/auto rw - autofs systemd-1 rw
34 33 0:45 / /mnt/auto rw - nfs nas:/auto rw
35 25 0:46 / /mnt/Größe rw - ext4 /dev/sdb1 rw
"""


@pytest.mark.parametrize(
    ("folder", "point", "kind"),
    [
        ("/", "/", "ext4"),
        ("/var/lib/reconciler", "/", "ext4"),
        ("/homes/ann", "/", "ext4"),
        ("/run/x", "/run", "tmpfs"),
        ("/home/ann/.local/state", "/home", "nfs4"),
        ("/home/ann/keep/reconciler", "/home/ann/keep", "xfs"),
        ("/mnt/my disk/reconciler", "/mnt/my disk", "cifs"),
        ("/mnt/back\\slash", "/mnt/back\\slash", "fuse.sshfs"),
        ("/layers/x", "/layers", "overlay"),
        ("/srv/state/x", "/srv/state", "nfs4"),
        ("/mnt/auto/x", "/mnt/auto", "nfs"),
        ("/mnt/Größe/x", "/mnt/Größe", "ext4"),
    ],
)
def test_a_folder_lies_on_the_deepest_and_last_mount_above_it(
    folder: str, point: str, kind: str
) -> None:
    assert mount_of(Path(folder), MOUNTINFO) == Mount(point, kind)


def test_a_kernel_that_lists_nothing_tells_nothing(tmp_path: Path) -> None:
    assert mount_of(Path("/home"), "") is None
    assert mounted_on(tmp_path, tmp_path / "missing") is None


@pytest.mark.parametrize(
    "kind",
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "9p",
        "ceph",
        "glusterfs",
        "fuse.sshfs",
        "fuse.rclone",
        "fuse.glusterfs",
    ],
)
def test_another_machine_keeps_the_files_of_a_network_file_system(kind: str) -> None:
    assert Mount("/", kind).over_network


@pytest.mark.parametrize(
    "kind",
    ["ext4", "xfs", "btrfs", "zfs", "f2fs", "overlay", "tmpfs", "fuseblk", "fuse.mergerfs", "fuse"],
)
def test_this_machine_keeps_the_files_of_a_local_file_system(kind: str) -> None:
    assert not Mount("/", kind).over_network


def test_what_this_machine_says_of_a_new_folder_is_where_it_will_be_made(tmp_path: Path) -> None:
    here = mounted_on(tmp_path)
    assert here is not None
    assert tmp_path.is_relative_to(here.point)
    assert mounted_on(tmp_path / "not" / "made") == here
    shared = mounted_on(Path("/proc/self"))
    assert shared == Mount("/proc", "proc")


def listed(directory: Path, kind: str) -> Path:
    """Write a list of mounts that says that everything under `directory`/nas is of one type."""
    (directory / "nas").mkdir()
    mounts = directory / "mountinfo"
    mounts.write_text(
        f"25 1 8:1 / / rw - ext4 /dev/sda1 rw\n26 25 0:1 / {directory}/nas rw - {kind} nas:/ rw\n"
    )
    return mounts


def test_a_journal_on_a_network_file_system_is_refused_with_the_reason_and_a_way_out(
    tmp_path: Path,
) -> None:
    (tmp_path / "state").symlink_to(tmp_path / "nas")
    journal = JournalFile(
        tmp_path / "state" / "journal", StoppedClock(), mounts=listed(tmp_path, "nfs4")
    )
    with pytest.raises(
        NetworkFileSystem, match=f"nfs4, mounted on {tmp_path}/nas\\).*--data DIR"
    ) as refused:
        journal.rows()
    assert refused.value.exit_code == 5
    with pytest.raises(NetworkFileSystem):
        journal.append(Retry(host="local"))
    assert list((tmp_path / "nas").iterdir()) == []


def test_a_journal_beside_a_network_file_system_opens(tmp_path: Path) -> None:
    journal = JournalFile(tmp_path / "journal", StoppedClock(), mounts=listed(tmp_path, "nfs4"))
    row = journal.append(Retry(host="local"))
    assert journal.rows() == (row,)
