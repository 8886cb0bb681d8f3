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
    """Three folders: of both files, of journal and lock, and of this machine as a host."""

    state: Path
    data_directory: Path
    host_directory: Path


def settings(
    environment: Mapping[str, str], state: str | None, data_directory: str | None
) -> Settings:
    """Take an option, then RECONCILER_STATE or RECONCILER_DATA, then the XDG state directory.

    Raise Unreachable for a place that cannot be named in the journal, or that nothing leads to.
    """
    home = _state_home(environment)
    directory = Path(data_directory or environment.get("RECONCILER_DATA") or home / "reconciler")
    whole_directory = _whole(directory, "the data directory", "--data or RECONCILER_DATA")
    whole_home = _whole(home, "the state directory of this machine", "XDG_STATE_HOME")
    return Settings(
        state=Path(state or environment.get("RECONCILER_STATE") or "state"),
        data_directory=whole_directory,
        host_directory=whole_home / "reconciler-host",
    )


def _state_home(environment: Mapping[str, str]) -> Path:
    named = environment.get("XDG_STATE_HOME")
    return Path(named) if named else Path(environment.get("HOME", "/"), ".local", "state")


def _whole(path: Path, what: str, way: str) -> Path:
    """Make a path one from the root; `way` is how to choose another."""
    try:
        whole = path.absolute()
    except OSError as error:
        raise Unreachable(
            f"{what} is {path}, and the directory where this was started is gone: {error.strerror}"
        ) from error
    # Journal, claims and marks keep it as text, so it must be text.
    try:
        str(whole).encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(whole).decode(errors="backslashreplace")
        raise Unreachable(
            f"{what} is {shown}, expected a name in UTF-8; choose another place with {way}"
        ) from error
    return whole
