"""The file that says how a container of LXC is made: that of LXC itself, or that of Proxmox VE.

Both are lines of a key and a value, LXC's with an equals sign, Proxmox VE's with a colon. What
follows a section's head in Proxmox VE's is a snapshot, or not in force yet. Sources:
lxc.container.conf(5), tried with 5.0.2; pct.conf(5).
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from reconciler.onhost import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Key = tuple[str, str]

FILE_LIMIT = 1024 * 1024
FILES_LIMIT = 64

_INCLUDE = "lxc.include"

_LINE = re.compile(r"\s*([\w.]+)\s*[=:]\s*(.*?)\s*")
_NETWORK = re.compile(r"lxc\.net\.\d+\.type|net\d+")
_HOST = "none"
_AT_BOOT, _ON = ("lxc.start.auto", "onboot"), "1"
_MOUNT_POINT = re.compile(r"mp\d+")
_ROOT_KEYS = ("lxc.rootfs.path", "rootfs")
_PENDING = "pve:pending]"
_BIND = {"bind", "rbind"}
_SPACE, _TAB = ("\\040", " "), ("\\011", "\t")


class LxcFile(NamedTuple):
    """A container's file as it is now; `keys` in their order.

    `is_pending` says that some of it waits in Proxmox VE for the next start.
    """

    path: str
    modified_ns: int
    keys: tuple[tuple[str, str], ...]
    is_pending: bool = False

    def value(self, key: str) -> str:
        """Return the last value of a key, "" without one."""
        return next((value for name, value in reversed(self.keys) if name == key), "")

    @property
    def autostarts(self) -> bool:
        """Whether it is started when its host boots."""
        return any(self.value(key) == _ON for key in _AT_BOOT)

    @property
    def is_template(self) -> bool:
        """Whether Proxmox VE only makes other containers of it."""
        return self.value("template") == _ON

    @property
    def console(self) -> str:
        """Where its console is written to, "" for nowhere."""
        return self.value("lxc.console.logfile")

    @property
    def network(self) -> str:
        """The kind of network that it has, "" where it is the host's."""
        kinds = {key: value for key, value in self.keys if _NETWORK.fullmatch(key)}
        # Without a word about it a container has a network of its own, in which nothing is.
        return next((kind for kind in kinds.values() or ["empty"] if kind != _HOST), "")

    @property
    def root(self) -> str:
        """Where its own files are, as its keeper names that."""
        return next((value for key, value in self.keys if key in _ROOT_KEYS), "")

    @property
    def mounts(self) -> list[tuple[str, str]]:
        """Each path in it at which something is mounted, and the host's, "" where it has none."""
        return [("/", _of_host(self.root)), *self._entries()]

    def _entries(self) -> Iterator[tuple[str, str]]:
        for key, value in self.keys:
            if key == "lxc.mount.entry":
                yield _entry(value)
            elif _MOUNT_POINT.fullmatch(key):
                yield _mount_point(value)


def read(path: str) -> LxcFile | None:
    """Read a container's file, None where there is none; raise HostProblem."""
    try:
        content = files.read_bounded(path, FILE_LIMIT)
        modified_ns = os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return None
    current, *sections = re.split(r"^\[", content.decode("utf-8", "replace"), flags=re.MULTILINE)
    pending = [section for section in sections if section.startswith(_PENDING)]
    keys = _in_force(_written(current, {path}))
    return LxcFile(path, modified_ns, keys, any(any(_lines(each)) for each in pending))


def _in_force(keys: Iterable[Key]) -> tuple[Key, ...]:
    """Drop what a later line takes back: a key without a value, or one that others begin with."""
    found: list[Key] = []
    for key, value in keys:
        if value:
            found.append((key, value))
        else:
            found = [one for one in found if not f"{one[0]}.".startswith(f"{key}.")]
    return tuple(found)


def _written(text: str, read: set[str]) -> Iterator[Key]:
    """Yield what stands in a file and in those that it includes; `read` are the files so far."""
    for key, value in _lines(text):
        if key == _INCLUDE:
            yield from _included(value, read)
        else:
            yield key, value


def _included(place: str, read: set[str]) -> Iterator[Key]:
    """Yield what stands in a file, or in all of a folder; LXC names one that it cannot read."""
    for path in sorted(glob.glob(f"{glob.escape(place)}/*.conf")) or [place]:
        if path in read or len(read) >= FILES_LIMIT:
            continue
        read.add(path)
        with contextlib.suppress(OSError):
            text = files.read_bounded(path, FILE_LIMIT).decode("utf-8", "replace")
            yield from _written(text, read)


def _lines(text: str) -> Iterator[Key]:
    found = map(_LINE.fullmatch, text.splitlines())
    return ((line[1], line[2]) for line in found if line)


def _entry(value: str) -> tuple[str, str]:
    """Read a line as of fstab(5)."""
    source, target, _, options = [*map(_unescaped, value.split()), "", "", "", ""][:4]
    is_bound = _BIND & set(options.split(","))
    return f"/{target.lstrip('/')}", _of_host(source) if is_bound else ""


def _mount_point(value: str) -> tuple[str, str]:
    """Read a mount point of Proxmox VE: a volume or a folder of the host, then options."""
    source, *options = value.split(",")
    named = dict(option.partition("=")[::2] for option in options)
    return named.get("mp", "/"), _of_host(source)


def _of_host(source: str) -> str:
    """Find the host's folder that a source is, "" for a volume or a file system without one."""
    path = source.removeprefix("dir:").partition(",")[0]
    return path if path.startswith("/") else ""


def _unescaped(word: str) -> str:
    return word.replace(*_SPACE).replace(*_TAB)
