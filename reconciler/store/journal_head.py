"""Journal head: a small file beside the journal that names the newest row that must be there.

A chain of digests does not tell that its end is missing; the head does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from reconciler.edge.atomic import write_file
from reconciler.model.records import Record, StepIntent
from reconciler.store.journal_faults import damaged

_HEADED = {"run-opened", "run-closed", "adopted", "retry", "restart", "roll-back", "hold", "resume"}


class Head(NamedTuple):
    """A row that was written: its number and its digest."""

    seq: int
    digest: str


class HeadFile:
    """The head in `file`, of the journal in `journal`."""

    def __init__(self, file: Path, journal: Path) -> None:
        self._file = file
        self._journal = journal

    def exists(self) -> bool:
        """Whether a head was ever written."""
        return self._file.exists()

    def write(self, head: Head) -> None:
        """Name a row durably; raise WriteFailed."""
        write_file(self._file, json.dumps(head._asdict()).encode())

    def read(self) -> Head | None:
        """Read the row that is named, None where none is; raise JournalDamaged or OSError."""
        if not self.exists():
            return None
        try:
            head = json.loads(self._file.read_bytes())
            seq, digest = head["seq"], head["digest"]
        except (ValueError, KeyError, TypeError) as error:
            raise damaged(self._journal, "its head file cannot be read") from error
        # To Python, true is a number.
        is_number = isinstance(seq, int) and not isinstance(seq, bool)
        if not is_number or seq < 1 or not isinstance(digest, str):
            raise damaged(self._journal, "its head file makes no sense")
        return Head(seq, digest)

    def check(self, digests: Mapping[int, str], head: Head | None) -> None:
        """Compare a chain, the digest of each row by its number, with the head.

        Raise JournalDamaged when the row that it names is not there as it was written.
        """
        newest = max(digests)
        # A writer that is killed after a commit leaves an older head, or none beside the first row;
        # the row that an older one names may be forgotten.
        if head is None:
            if newest > 1:
                raise damaged(self._journal, "the head file is missing")
        elif head.seq > newest or digests.get(head.seq, head.digest) != head.digest:
            raise damaged(
                self._journal,
                f"rows up to {head.seq} were written, {newest} are there or they are not the same",
            )


def is_headed(record: Record) -> bool:
    """Whether the loss of its row must be noticed."""
    # Each head is one more durable write, so what only says how a run went on has none.
    return record.kind in _HEADED or (
        isinstance(record, StepIntent) and record.in_doubt == "irreversible"
    )
