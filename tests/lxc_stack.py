"""The command line on a booted host: one model is a process, one is a container of LXC."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING

from tests.given_stack import BootedStack
from tests.lxcs import UNITS, apart

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


class ApartStack(BootedStack):
    """`reconciler` beside an LXC that has tiny-b as a container in a network of its own."""

    def __init__(self, folder: Path, lxc: Lxc) -> None:
        self.lxc = lxc
        self.name = lxc.name("apart")
        self.address = f"10.213.{os.getpid() // 256 % 256}.{os.getpid() % 256}"
        launcher = lxc.launcher("apart")
        words = {"kind": launcher.kind, **launcher.options, "network": "own"}
        super().__init__(folder, json.dumps(words), lxc.booted)
        self.listening("0.0.0.0")  # noqa: S104

    def listening(self, address: str) -> None:
        """Make the container again; its engine listens at an address."""
        argv = [address if word == "127.0.0.1" else word for word in self.given]
        self.lxc.create(self.name, argv, self.folder, **apart(self.address))


class InnerStack(BootedStack):
    """`reconciler` beside an LXC that has tiny-b as a service in a container."""

    def __init__(self, folder: Path, lxc: Lxc) -> None:
        self.lxc = lxc
        self.name = lxc.name("inner")
        launcher = lxc.launcher("inner")
        words = {"kind": launcher.kind, **launcher.options, "service": "tiny.service"}
        super().__init__(folder, json.dumps(words), lxc.booted)
        lxc.create_booting(self.name, self.folder)
        lxc.booted.write(
            f"{UNITS}/tiny.service", f"[Service]\nExecStart={shlex.join(self.given)}\n"
        )
