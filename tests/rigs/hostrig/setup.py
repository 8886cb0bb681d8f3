"""What a rig is made of, as its client tells the daemon."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Setup:
    """The hosts, how they run, and where."""

    folder: str
    mode: str
    names: list[str]
    token: str
    """Names the rig's control group among those of this machine."""
    root_file_system: str = ""
    shown: list[str] = field(default_factory=list)
    """Folders of this machine that every nspawn host sees at the same path, and cannot write."""
