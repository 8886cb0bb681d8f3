"""What this host can see of its network, and the packet that wakes others on it.

Source: ip(7), arp(7), netdevice(7); the magic packet is six bytes of FF and sixteen times the
address of the card.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import re
import select
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from reconciler.onhost import commands, procfs
from reconciler.onhost.problem import HostProblem, explain, explained

COPIES = 3
PAUSE = 0.1
EVERYBODY = "255.255.255.255"
ANSWER_SECONDS = 2.0
KNOCKED = (22, 53, 80, 443)
"""Ports of which one that accepts or refuses shows that a host is there."""

ETHTOOL_SECONDS = 5.0
_ADDRESS, _NETMASK = 0x8915, 0x891B
_ALIVE = {errno.ECONNREFUSED, errno.ECONNRESET}
_WAKE_ON = re.compile(r"^\s*Wake-on:\s*(\S+)", re.MULTILINE)
_SUPPORTED = re.compile(r"^\s*Supports Wake-on:\s*(\S+)", re.MULTILINE)
_ECHO, _GATEWAY_FLAG = 8, 0x2


def wake(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Send magic packets: to the broadcast address that is named, or to those of every network.

    Without a name also to everybody. Raise HostProblem when none could be sent.
    """
    packet = _magic(request["mac"], request.get("password") or "")
    interface, port = request.get("interface"), int(request["port"])
    sent: list[str] = []
    failed = ""
    for target in _paced(_targets(request.get("broadcast"), interface)):
        reason = _send(packet, (target, port), interface, request.get("source"))
        failed = reason or failed
        sent += [] if reason else [target]
    if not sent:
        raise HostProblem(failed)
    return {"packets": len(sent), "to": sorted(set(sent)), "port": port}


def _paced(targets: list[str]) -> Iterator[str]:
    """Yield the targets a few times, with a pause between."""
    # Nothing confirms such a packet, and one may be lost.
    for copy in range(COPIES):
        if copy:
            time.sleep(PAUSE)
        yield from targets


def _magic(mac: str, password: str) -> bytes:
    return b"\xff" * 6 + _bytes(mac) * 16 + _bytes(password)


def _targets(named: str | None, interface: str | None) -> list[str]:
    return [named] if named else [*sorted(set(_broadcasts(interface))), EVERYBODY]


def _send(packet: bytes, to: tuple[str, int], interface: str | None, source: str | None) -> str:
    """Send one packet; tell why it could not be sent."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            if interface:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            if source:
                one.bind((source, 0))
            one.sendto(packet, to)
    except OSError as error:
        return f"no packet could be sent to {to[0]}: {explain(error)}"
    return ""


def _broadcasts(interface: str | None) -> Iterator[str]:
    """Yield the broadcast address of every network that this host is in."""
    names = [name for _, name in socket.if_nameindex() if name != "lo"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for name in names if interface is None else {interface}.intersection(names):
            with contextlib.suppress(OSError):
                yield from _broadcast(one, name)


def _broadcast(one: socket.socket, interface: str) -> Iterator[str]:
    address, mask = (_asked(one, interface, what) for what in (_ADDRESS, _NETMASK))
    hosts = ~mask & 0xFFFFFFFF
    # Not what the interface calls its broadcast address: one that `ip addr add` gave its address
    # has none.
    if hosts > 1:
        yield _dotted(address | hosts)


def _asked(one: socket.socket, interface: str, what: int) -> int:
    """Ask the kernel for an address of an interface, as a number."""
    answer = fcntl.ioctl(one, what, struct.pack("256s", interface.encode()))
    return int.from_bytes(answer[20:24], "big")


def _dotted(address: int) -> str:
    return socket.inet_ntoa(address.to_bytes(4, "big"))


def _bytes(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", "").replace("-", ""))


def wake_on(request: dict[str, Any], _: str, root: str = "/") -> dict[str, Any]:
    """Answer which card has an address, and what wakes it.

    `settings` are ethtool's letters, None when they are not told.
    """
    mac = request["mac"].lower().replace("-", ":")
    paths = glob.glob(os.path.join(root, "sys/class/net/*/address"))
    # Bonds and bridges have the address of a card of theirs, and no switch to wake by.
    for folder in sorted(map(os.path.dirname, paths), key=_cards_first):
        if procfs.text(f"{folder}/address").strip().lower() == mac:
            interface = os.path.basename(folder)
            return {"interface": interface, **_ethtool(interface)}
    return {"interface": None, "settings": None, "supported": None, "said": ""}


def _cards_first(folder: str) -> tuple[bool, str]:
    return not os.path.exists(f"{folder}/device"), folder


def _ethtool(interface: str) -> dict[str, Any]:
    said = "there is no ethtool on the PATH there"
    for prefix in ([],) if os.geteuid() == 0 else ([], ["sudo", "-n"]):
        with contextlib.suppress(OSError, commands.Late):
            found = _settings(_written([*prefix, "ethtool", interface]))
            if found:
                return found
            said = "ethtool tells it to root alone"
    return {"settings": None, "supported": None, "said": said}


def _settings(written: str) -> dict[str, Any] | None:
    """Read what wakes a card, None where ethtool does not tell."""
    wakes, can = _WAKE_ON.search(written), _SUPPORTED.search(written)
    if wakes is None:
        return None
    return {"settings": wakes[1], "supported": can[1] if can else "", "said": ""}


def _written(argv: list[str]) -> str:
    # ethtool is where only root looks for programs.
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return commands.run(argv, ETHTOOL_SECONDS, {"PATH": path}).out


def neighbour(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer an address that answers now: the one that is named, or the gateway beside `host`."""
    address = request.get("address") or _gateway_beside(request["host"])
    found = _resolved(address)
    if not (_echoes(found) or any(_accepts(found, port) for port in KNOCKED)):
        raise HostProblem(f"{address} does not answer either")
    return {"address": address}


def _resolved(name: str) -> str:
    with explained(f"{name} cannot be resolved"):
        return str(socket.getaddrinfo(name, None, socket.AF_INET)[0][4][0])


def _gateway_beside(host: str) -> str:
    """Find the gateway of the network that this host shares with another."""
    routes = list(_routes())
    best = _best(routes, int.from_bytes(socket.inet_aton(_resolved(host)), "big"))
    # A gateway shows that the host's network works only where it is the gateway of that network.
    if best is None or best.gateway:
        raise HostProblem(
            f"{host} is not on a network of the controller's; name an address that is with"
            " `canary:`"
        )
    for route in routes:
        if route.interface == best.interface and route.gateway:
            return _dotted(route.gateway)
    raise HostProblem(
        f"the network of {host} has no gateway here; name an address there that always answers"
        " with `canary:`"
    )


def _best(routes: list[_Route], target: int) -> _Route | None:
    """Choose the narrowest route to an address."""
    leading = [route for route in routes if route.leads_to(target)]
    return max(leading, key=lambda route: route.mask, default=None)


class _Route(NamedTuple):
    """A route; `gateway` is 0 for none."""

    interface: str
    network: int
    mask: int
    gateway: int

    def leads_to(self, address: int) -> bool:
        """Whether an address is in its network."""
        return address & self.mask == self.network


def _routes() -> Iterator[_Route]:
    for line in procfs.text("/proc/net/route", procfs.TABLE_LIMIT).splitlines()[1:]:
        interface, *words = line.split()
        network, gateway, mask = (socket.ntohl(int(words[place], 16)) for place in (0, 1, 6))
        has_one = int(words[2], 16) & _GATEWAY_FLAG
        yield _Route(interface, network, mask, gateway if has_one else 0)


def _echoes(address: str) -> bool:
    """Whether an echo request is answered. Source: icmp(7)."""
    # A datagram socket is for groups that net.ipv4.ping_group_range allows, a raw one for root.
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP) as one,
        ):
            one.sendto(_echo_request(), (address, 0))
            return _answers(one, address, time.monotonic() + ANSWER_SECONDS / 2)
    return False


def _answers(one: socket.socket, address: str, until: float) -> bool:
    """Whether a packet comes from an address; a raw socket gets those of others too."""
    while select.select([one], [], [], max(0.0, until - time.monotonic()))[0]:
        _, (source, *_rest) = one.recvfrom(1024)
        if source == address:
            return True
    return False


def _echo_request() -> bytes:
    number = os.getpid() & 0xFFFF
    return _echo(_checksum(_echo(0, number)), number)


def _checksum(content: bytes) -> int:
    # That of the internet protocols, over words of 16 bits: RFC 1071.
    total: int = sum(struct.unpack("!4H", content))
    return ~((total >> 16) + (total & 0xFFFF)) & 0xFFFF


def _echo(checksum: int, number: int) -> bytes:
    return struct.pack("!BBHHH", _ECHO, 0, checksum, number, 1)


def _accepts(address: str, port: int) -> bool:
    """Whether a host is there: a connection that is refused is an answer too."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
        one.settimeout(ANSWER_SECONDS / len(KNOCKED))
        try:
            one.connect((address, port))
        except OSError as error:
            return error.errno in _ALIVE
        return True
