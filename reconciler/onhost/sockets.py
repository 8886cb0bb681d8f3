"""Which sockets listen on a TCP port.

The kernel is asked (sock_diag(7)), which looks at listening sockets alone. Where it does not
answer, its tables are read: /proc/net/tcp6 walks every bucket of the table of connections.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TABLE_LIMIT = 4 * 1024 * 1024
SECONDS = 2.0

_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_NETLINK_DIAG, _BY_FAMILY, _DUMP = 4, 20, 0x301
_ERROR, _DONE = 2, 3
_LISTEN = 10
_HEADER = struct.Struct("=IHHII")
_ASKED = struct.Struct("=BBBxI2s46x")
_FOUND = struct.Struct("=4xH46x12xII")
_ATTRIBUTE = struct.Struct("=HH")
_GROUP = 21

_LISTEN_CODE = b"0A"
_STATE, _USER, _INODE = 3, 7, 9


class Socket(NamedTuple):
    """A listening socket.

    `group` is the number of the control group in which it was made, 0 where that is not told
    (by tables, and by Linux before 5.8).
    """

    inode: int
    user: int
    group: int = 0


def listening(port: int) -> list[Socket]:
    """Find the sockets that listen on `port` on any address, IPv4 or IPv6."""
    try:
        return [found for family in _FAMILIES for found in _asked(family, port)]
    except OSError:
        return _in_tables(port)


def _in_tables(port: int) -> list[Socket]:
    return [found for table in _TABLES for found in among(rows(table), port)]


def _asked(family: int, port: int) -> list[Socket]:
    """Ask the kernel; raise OSError when it does not answer."""
    question = _question(family, port)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_DIAG) as kernel:
        kernel.settimeout(SECONDS)
        kernel.send(question)
        told = map(_told, _answers(kernel))
        return [found for listens, found in told if listens == port]


def _question(family: int, port: int) -> bytes:
    asked = _ASKED.pack(family, socket.IPPROTO_TCP, 0, 1 << _LISTEN, port.to_bytes(2, "big"))
    return _HEADER.pack(_HEADER.size + len(asked), _BY_FAMILY, _DUMP, 1, 0) + asked


def _answers(kernel: socket.socket) -> Iterator[bytes]:
    """Yield the body of each answer to the end of all; raise OSError for an error."""
    while True:
        for kind, body in _messages(kernel.recv(65536)):
            if kind == _DONE:
                return
            if kind == _ERROR:
                number = -struct.unpack_from("=i", body)[0]
                raise OSError(number, "the kernel does not tell which sockets listen")
            yield body


def _told(body: bytes) -> tuple[int, Socket]:
    listens, user, inode = _FOUND.unpack_from(body)
    group = dict(_attributes(body[_FOUND.size :])).get(_GROUP, b"")
    return socket.ntohs(listens), Socket(inode, user, int.from_bytes(group, sys.byteorder))


def _attributes(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the kind and content of each attribute behind an answer."""
    at = 0
    while at + _ATTRIBUTE.size <= len(content):
        length, kind = _ATTRIBUTE.unpack_from(content, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind, content[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


def _messages(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the kind and body of each message in a datagram."""
    at = 0
    while at + _HEADER.size <= len(content):
        length, kind, *_ = _HEADER.unpack_from(content, at)
        # A message that is shorter than its own head would be met again for ever.
        if length < _HEADER.size:
            return
        yield kind, content[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def among(rows: Iterable[bytes], port: int) -> list[Socket]:
    """Find the sockets that listen on `port` among rows of /proc/net/tcp."""
    return [found for listens, found in ports(rows) if listens == port]


def ports(rows: Iterable[bytes]) -> Iterator[tuple[int, Socket]]:
    """Yield every listening socket, with its port, among rows of /proc/net/tcp."""
    for row in rows:
        fields = row.split()
        if len(fields) > _INODE and fields[_STATE] == _LISTEN_CODE:
            port = int(fields[1].rpartition(b":")[2], 16)
            yield port, Socket(int(fields[_INODE]), int(fields[_USER]))


def rows(path: str) -> list[bytes]:
    """Read the rows of a socket table."""
    try:
        with open(path, "rb") as file:
            return file.read(TABLE_LIMIT).splitlines()[1:]
    except FileNotFoundError:
        # IPv6 may be switched off.
        return []
