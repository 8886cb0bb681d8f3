"""Notify systemd of how we are, by one datagram for each word of sd_notify(3)."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class SystemdSupervisor:
    """The supervisor that NOTIFY_SOCKET names, if any.

    Never raises, never waits: a word that cannot be sent is lost.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Read NOTIFY_SOCKET (a path, or `@name` if abstract), WATCHDOG_USEC and WATCHDOG_PID."""
        name = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + name[1:] if name.startswith("@") else name
        self._watchdog = environment.get("WATCHDOG_USEC", "")
        self._watched = environment.get("WATCHDOG_PID") or str(os.getpid())

    @property
    def watchdog_seconds(self) -> float | None:
        """Within how many seconds one `alive` must follow another, None without a watchdog."""
        # A program that we start inherits the variables, and is not the one that is watched.
        is_watched = self._address and self._watched == str(os.getpid())
        if not is_watched or not self._watchdog.isdecimal():
            return None
        return int(self._watchdog) / 1e6 or None

    def ready(self) -> None:
        """Announce that the start, or a reload, is over."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """Describe in one line what goes on, for `systemctl status`."""
        self._send(f"STATUS={' '.join(text.split())}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Announce that the files are read again; `ready` ends it."""
        # By its time systemd keeps several reloads apart: sd_notify(3).
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now}")

    def stopping(self) -> None:
        """Announce that we are on our way out."""
        self._send("STOPPING=1")

    def _send(self, words: str) -> None:
        if not self._address:
            return
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, kind) as sender:
            sender.sendto(words.encode("utf-8", "replace"), self._address)
