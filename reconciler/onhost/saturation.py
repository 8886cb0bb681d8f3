"""Whether a server that does not answer us is at work for its other clients.

llama-server takes `parallel` + 4 connections at once, and one stays taken for as long as its client
keeps it open (b11549): what is sent on the next one lies unread until then.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from reconciler.onhost import procfs, sockets

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY_SHARE = 0.02
"""Of the time of one core: a server that hangs uses none."""

_TABLES = ("tcp", "tcp6")
_ESTABLISHED = b"01"
_LOCAL, _REMOTE, _STATE, _QUEUES, _INODE = 1, 2, 3, 4, 9
_USER_TICKS, _SYSTEM_TICKS = 11, 12


class ServedConnection(NamedTuple):
    """A connection as its server has it; `unread` are the bytes that wait there."""

    client_port: int
    unread: int
    is_accepted: bool


def cpu_seconds(pid: int) -> float:
    """How long a process and its children have worked so far."""
    ticks = sum(map(_ticks, (pid, *procfs.offspring(pid))))
    return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    fields = procfs.fields(pid)
    if len(fields) <= _SYSTEM_TICKS:
        return 0
    return int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])


def clients_before(port: int, client_port: int, pid: int) -> int:
    """How many connections keep a server from reading what we sent; 0 where it has read it.

    They are seen in the network of the server's process.
    """
    tables = (f"/proc/{pid}/net/{table}" for table in _TABLES)
    found = [one for table in tables for one in established(sockets.rows(table), port)]
    ours = [one for one in found if one.client_port == client_port]
    if not any(one.unread or not one.is_accepted for one in ours):
        return 0
    return sum(one.is_accepted for one in found if one not in ours)


def established(rows: list[bytes], port: int) -> Iterator[ServedConnection]:
    """Yield the connections to a port among rows of /proc/net/tcp."""
    for row in rows:
        fields = row.split()
        if len(fields) > _INODE and fields[_STATE] == _ESTABLISHED:
            local, remote = (_port(fields[place]) for place in (_LOCAL, _REMOTE))
            if local == port:
                unread = int(fields[_QUEUES].partition(b":")[2], 16)
                yield ServedConnection(remote, unread, fields[_INODE] != b"0")


def _port(address: bytes) -> int:
    return int(address.rpartition(b":")[2], 16)
