"""On a disk that is really full, what cannot be recorded is said and no record is lost."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import pytest

from reconciler.errors import DurabilityError, WriteFailed
from reconciler.model.records import Row
from reconciler.store.journal_file import JournalFile
from tests.clocks import StoppedClock
from tests.faults import under_limit
from tests.needs import Wanting, need_root, program
from tests.runs import run_opened

SMALL = 256 * 1024
LARGEST_FILE = 48 * 1024
"""Room for the memory that SQLite's connections share, and for some rows."""
MANY = 1000

Full: TypeAlias = AbstractContextManager[None]
Disk: TypeAlias = tuple[Path, Callable[[int], Full]]


def sqlite_journal(directory: Path) -> JournalFile:
    return JournalFile(directory / "journal", StoppedClock())


@contextmanager
def no_larger_files(_spare: int) -> Iterator[None]:
    """Let the kernel refuse a file every byte beyond a size, root's too, as a full disk does."""
    with under_limit(resource.RLIMIT_FSIZE, LARGEST_FILE):
        yield


def filled(directory: Path) -> Callable[[int], Full]:
    @contextmanager
    def fill(spare: int) -> Iterator[None]:
        """Take all space but some spare bytes."""
        filler = directory / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        with filler.open("r+b") as file:
            file.truncate(filler.stat().st_size - spare)
        yield
        filler.unlink()

    return fill


@pytest.fixture(params=["a small file system", "a limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """Give a folder and the way to fill it."""
    if request.param == "a limit":
        yield tmp_path, no_larger_files
        return
    need_root()
    mount = [program("mount"), "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        raise Wanting("a file system of its own", "this machine lets not even root mount one")
    yield tmp_path, filled(tmp_path)
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)  # noqa: S607 - as above


def reading(directory: Path) -> str:
    """What reading comes to: a journal that SQLite lacks room to read is not called damaged."""
    try:
        sqlite_journal(directory).rows()
    except DurabilityError as error:
        return error.reason
    return "it opens"


@pytest.mark.parametrize("spare", [0, 4096, 64 * 1024])
def test_a_full_disk_ends_all_writing_and_keeps_every_row(disk: Disk, spare: int) -> None:
    directory, full = disk
    journal = sqlite_journal(directory)
    rows: list[Row] = [journal.append(run_opened("box"))]
    with full(spare):
        with pytest.raises(
            WriteFailed, match="cannot be written: .*free space.*Nothing more is done"
        ) as refused:
            rows.extend(journal.append(run_opened("box")) for _ in range(MANY))
        assert refused.value.exit_code == 5
        with pytest.raises(WriteFailed, match="Nothing more is done"):
            journal.append(run_opened("box"))
        assert reading(directory) in {"it opens", "DurabilityError"}
    kept = sqlite_journal(directory).rows()
    assert list(kept[: len(rows)]) == rows
    assert len(kept) - len(rows) in {0, 1}
    with closing(sqlite_journal(directory)) as again:
        written = again.append(run_opened("box"))
        assert again.rows() == (*kept, written)


def test_where_there_is_room_again_it_is_written_on_once_all_of_it_was_read(disk: Disk) -> None:
    directory, full = disk
    with closing(sqlite_journal(directory)) as journal:
        with full(4096):
            with pytest.raises(WriteFailed):
                _ = [journal.append(run_opened("box")) for _ in range(MANY)]
            with suppress(DurabilityError):
                journal.reopen()
        journal.reopen()
        before = journal.rows()
        written = journal.append(run_opened("box"))
    assert sqlite_journal(directory).rows() == (*before, written)
