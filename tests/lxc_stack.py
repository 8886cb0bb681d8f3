"""The command line on a booted host: one model is a process, one is a container of LXC."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.given_stack import BootedStack

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lxcs import Lxc


class LxcStack(BootedStack):
    """`reconciler` beside an LXC that has tiny-b as a container."""

    def __init__(self, folder: Path, lxc: Lxc) -> None:
        self.lxc = lxc
        self.name = lxc.name("tiny")
        launcher = lxc.launcher("tiny")
        words = json.dumps({"kind": launcher.kind, **launcher.options})
        super().__init__(folder, words, lxc.booted)
        lxc.create(self.name, self.given, self.folder)

    def pid(self) -> int:
        """Return the pid of the container's init, 0 where none runs."""
        return self.lxc.pid(self.name)
