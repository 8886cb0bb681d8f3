"""The id of a controller: made once by the first who acts on a data directory, and kept there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from reconciler.edge.atomic import write_file
from reconciler.errors import DurabilityError, Unreachable, WriteFailed
from reconciler.model.records import Claimed, Row

_LIMIT = 100
_ID = re.compile(r"[0-9a-f]{12,64}")


class ControllerId:
    """The id in `file`; where that is lost, the one under which hosts were claimed.

    That is in the journal. Where neither tells, it is one from `make`.
    """

    def __init__(
        self, file: Path, rows: Callable[[], Iterable[Row]], make: Callable[[], str]
    ) -> None:
        """Read nothing yet; `rows` are those of the journal."""
        self._file, self._rows, self._make = file, rows, make

    @cached_property
    def text(self) -> str:
        """The id, the same for as long as this process runs."""
        # Random, because containers have no machine id and clones have the same one (ADR 0016).
        return self._kept() or self._journalled() or self._make()

    def keep(self) -> None:
        """Write the id down where it is not.

        Raise Unreachable when it cannot be: nothing was done yet.
        """
        try:
            if self._kept() != self.text:
                write_file(self._file, f"{self.text}\n".encode())
        except WriteFailed as error:
            raise Unreachable(f"{error.message}. Nothing was done") from error

    def _kept(self) -> str:
        with suppress(OSError), self._file.open("rb") as file:
            text = file.read(_LIMIT).decode(errors="replace").strip()
            return text if _ID.fullmatch(text) else ""
        return ""

    def _journalled(self) -> str:
        with suppress(DurabilityError):
            records = [row.record for row in self._rows()]
            claims = [one.controller for one in records if isinstance(one, Claimed)]
            return claims[-1] if claims else ""
        return ""
