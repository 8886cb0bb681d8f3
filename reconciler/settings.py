"""Settings: where this machine keeps things. Never desired state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    """Name the folder of the files, the folder of journal and lock, and what belongs to this machine as a host."""

    state: Path
    data_directory: Path
    host_directory: Path


def settings(environment: Mapping[str, str], state: str | None, data_directory: str | None) -> Settings:
    """Return the settings: an option, then RECONCILER_STATE and RECONCILER_DATA, then the XDG state directory."""
    home = Path(environment.get("XDG_STATE_HOME") or Path(environment.get("HOME", "/")) / ".local" / "state")
    return Settings(
        state=Path(state or environment.get("RECONCILER_STATE") or "state"),
        data_directory=Path(data_directory or environment.get("RECONCILER_DATA") or home / "reconciler").absolute(),
        host_directory=home / "reconciler-host",
    )
