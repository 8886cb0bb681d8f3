"""Listening: the sockets that requests come in by, systemd's where it gives some, else our own.

A socket of systemd outlives this process: while none of ours accepts, clients wait in it.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias

from reconciler.edge import control_socket
from reconciler.edge.atomic import remedy
from reconciler.errors import Misused
from reconciler.gateway.doorkeeper import LOCAL_NAMES
from reconciler.gateway.head import host_name
from reconciler.model.gateway import PORTS

DEFAULT = "127.0.0.1:8400"
REQUESTS = "http"
"""FileDescriptorName= of a socket for requests."""

BACKLOG = 4096
AT_ONCE = 1
"""How many are accepted in a turn of the event loop. Where this process can open no more files,
Python's would try, and complain, as often as the backlog is long (CPython 3.11)."""

Connect: TypeAlias = Callable[[], asyncio.Protocol]


class Listening:
    """Where requests are taken: by the sockets that systemd gives, or at an address."""

    def __init__(
        self,
        listen: str | None,
        given: Mapping[int, str],
        *,
        has_keys: bool = False,
        folder: Path | None = None,
    ) -> None:
        """Take an address, if one was asked for, and systemd's descriptors; raise Misused.

        Without keys, nothing but this machine may reach it. In `folder` is the control socket.
        """
        if listen is not None and given:
            said = f"found --listen {listen}, and sockets of systemd"
            raise Misused(f"{said}; leave it out: ListenStream= of the .socket unit says where")
        self._given, self._is_local, self._folder = given, not has_keys, folder
        self._host, self._port = _split(listen or DEFAULT, is_local=self._is_local)

    async def begun(self, connect: Connect) -> Sequence[asyncio.Server]:
        """Listen, with a protocol for each client; raise Misused."""
        if self._given:
            return [await self._by(number, name, connect) for number, name in self._given.items()]
        loop, host = asyncio.get_running_loop(), self._host.strip("[]")
        try:
            # It sets SO_REUSEADDR: a restart does not wait for connections of before to be over.
            server = await loop.create_server(connect, host, self._port, backlog=AT_ONCE)
        except OSError as error:
            said = f"cannot listen at {self._host}:{self._port}: {_why(error)}"
            raise Misused(f"{said}; name another address with --listen") from error
        return [_patient(server)]

    async def control_begun(self, connect: Connect) -> Sequence[asyncio.Server]:
        """Listen at the control socket, where there is one; raise Misused."""
        if self._folder is None:
            return []
        try:
            made = control_socket.listening(self._folder)
        except OSError as error:
            said = f"cannot listen at {self._folder}/{control_socket.NAME}"
            raise Misused(f"{said}: {error.strerror or error}; {remedy(error)}") from error
        return [await asyncio.get_running_loop().create_unix_server(connect, sock=made)]

    async def _by(self, number: int, name: str, connect: Connect) -> asyncio.Server:
        """Listen by a socket of systemd, where it is one that may be."""
        if name != REQUESTS:
            said = f'systemd gives a socket with the name "{name}"'
            raise Misused(f"{said}; expected FileDescriptorName={REQUESTS} in its .socket unit")
        given = socket.socket(fileno=number)
        if refusal := _refusal(given, is_local=self._is_local):
            given.close()
            raise Misused(refusal)
        loop = asyncio.get_running_loop()
        return _patient(await loop.create_server(connect, sock=given, backlog=AT_ONCE))


def _patient(server: asyncio.Server) -> asyncio.Server:
    """Let clients wait to be accepted."""
    for one in server.sockets:
        with one.dup() as same:
            same.listen(BACKLOG)
    return server


def addresses(servers: Sequence[asyncio.Server]) -> tuple[str, ...]:
    """Where servers listen, as clients write it."""
    return tuple(_written(*one.getsockname()[:2]) for server in servers for one in server.sockets)


def _written(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _why(error: OSError) -> str:
    # What asyncio makes of the system's words repeats the address.
    if error.errno != errno.EADDRINUSE:
        return error.strerror or str(error)
    return "another program listens there, which `ss -ltnp` shows"


def _refusal(given: socket.socket, *, is_local: bool) -> str:
    listens = given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if given.family not in {socket.AF_INET, socket.AF_INET6} or not listens:
        said = "systemd gives a socket that takes no connections over TCP"
        return f"{said}; expected ListenStream={DEFAULT}, without Accept=yes"
    host = given.getsockname()[0]
    may = not is_local or ip_address(host).is_loopback
    return "" if may else _too_open(f"ListenStream= with {host}")


def _split(address: str, *, is_local: bool) -> tuple[str, int]:
    host, port = host_name(address), address.rpartition(":")[2]
    if host == address or not port.isdigit() or int(port) >= PORTS:
        raise Misused(f"found {address}, expected HOST:PORT such as {DEFAULT}")
    if is_local and host not in LOCAL_NAMES:
        raise Misused(_too_open(address))
    return host, int(port)


def _too_open(found: str) -> str:
    said = f"found {found}, expected an address of the loopback, such as {DEFAULT}"
    return (
        f"{said}: there are no keys, and without one other machines may not reach it;"
        " `reconciler key add NAME` makes one"
    )
