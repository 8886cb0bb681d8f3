"""Settings: where this machine keeps things. Never desired state."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    """The folder of the files, the folder of journal and lock, and what belongs to this machine as a host."""

    state: Path
    data_directory: Path
    host_directory: Path


def settings(
    environment: Mapping[str, str], state: str | None, data_directory: str | None
) -> Settings:
    """Return the settings: an option, then RECONCILER_STATE and RECONCILER_DATA, then the XDG state directory.

    Raise Unreachable for a place that cannot be named in the journal, or that nothing leads to.
    """
    home = Path(
        environment.get("XDG_STATE_HOME") or Path(environment.get("HOME", "/")) / ".local" / "state"
    )
    directory = Path(data_directory or environment.get("RECONCILER_DATA") or home / "reconciler")
    return Settings(
        state=Path(state or environment.get("RECONCILER_STATE") or "state"),
        data_directory=_whole(directory, "the data directory", "--data or RECONCILER_DATA"),
        host_directory=_whole(home, "the state directory of this machine", "XDG_STATE_HOME")
        / "reconciler-host",
    )


def _whole(path: Path, what: str, way: str) -> Path:
    """Return a path from the root.

    Journal, claims and marks keep it as text, so its name must be one.
    """
    try:
        whole = path.absolute()
    except OSError as error:
        raise Unreachable(
            f"{what} is {path}, and the directory where this was started is gone: {error.strerror}"
        ) from error
    try:
        str(whole).encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(whole).decode(errors="backslashreplace")
        raise Unreachable(
            f"{what} is {shown}, expected a name in UTF-8; choose another place with {way}"
        ) from error
    return whole
