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
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from reconciler.onhost import procfs
from reconciler.onhost.problem import HostProblem, explain

COPIES = 3
PAUSE = 0.1
EVERYBODY = "255.255.255.255"
ANSWER_SECONDS = 2.0
KNOCKED = (22, 53, 80, 443)
"""Ports of which one that accepts or refuses shows that somebody is there."""

ETHTOOL_SECONDS = 5.0
_ADDRESS, _NETMASK = 0x8915, 0x891B
_ALIVE = {errno.ECONNREFUSED, errno.ECONNRESET}
_WAKE_ON = re.compile(rb"^\s*Wake-on:\s*(\S+)", re.MULTILINE)
_SUPPORTED = re.compile(rb"^\s*Supports Wake-on:\s*(\S+)", re.MULTILINE)
_ECHO, _GATEWAY_FLAG = 8, 0x2


def wake(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Send magic packets: to the broadcast address that is named, or to that of every network of this host, and to everybody."""
    packet = b"\xff" * 6 + _bytes(request["mac"]) * 16 + _bytes(request.get("password") or "")
    interface, source, port = request.get("interface"), request.get("source"), int(request["port"])
    named = request.get("broadcast")
    targets = [named] if named else [*sorted(set(_broadcasts(interface))), EVERYBODY]
    sent: list[str] = []
    failed = ""
    for copy in range(COPIES):
        if copy:
            time.sleep(PAUSE)
        for target in targets:
            reason = _send(packet, (target, port), interface, source)
            failed = reason or failed
            sent += [] if reason else [target]
    if not sent:
        raise HostProblem(failed)
    return {"packets": len(sent), "to": sorted(set(sent)), "port": port}


def _send(packet: bytes, to: tuple[str, int], interface: str | None, source: str | None) -> str:
    """Send one packet; return why it could not be sent."""
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
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for _, name in socket.if_nameindex():
            if name == "lo" or interface not in {None, name}:
                continue
            with contextlib.suppress(OSError):
                asked = struct.pack("256s", name.encode()[:15])
                address, mask = (
                    struct.unpack("!I", fcntl.ioctl(one, what, asked)[20:24])[0]
                    for what in (_ADDRESS, _NETMASK)
                )
                hosts = ~mask & 0xFFFFFFFF
                # Not what the interface calls its broadcast address: one that `ip addr add` gave
                # its address has none.
                if hosts > 1:
                    yield socket.inet_ntoa(struct.pack("!I", address | hosts))


def _bytes(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", "").replace("-", ""))


def wake_on(request: dict[str, Any], _: str, root: str = "/") -> dict[str, Any]:
    """Answer which card has an address, and what wakes it: `settings` are ethtool's letters, None when nobody may know."""
    mac = request["mac"].lower().replace("-", ":")
    folders = [
        os.path.dirname(path) for path in glob.glob(os.path.join(root, "sys/class/net/*/address"))
    ]
    # Bonds and bridges have the address of a card of theirs, and no switch to wake by.
    for folder in sorted(
        folders, key=lambda folder: (not os.path.exists(f"{folder}/device"), folder)
    ):
        if procfs.read(f"{folder}/address").decode().strip().lower() == mac:
            return {"interface": os.path.basename(folder), **_ethtool(os.path.basename(folder))}
    return {"interface": None, "settings": None, "supported": None, "said": ""}


def _ethtool(interface: str) -> dict[str, Any]:
    said = "there is no ethtool on the PATH there"
    for prefix in ([],) if os.geteuid() == 0 else ([], ["sudo", "-n"]):
        try:
            done = subprocess.run(  # noqa: S603 - fixed words, and a name of the kernel's
                [*prefix, "ethtool", interface],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=ETHTOOL_SECONDS, check=False,
                env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"},
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            continue
        found, can = _WAKE_ON.search(done.stdout), _SUPPORTED.search(done.stdout)
        if found:
            return {
                "settings": found[1].decode(),
                "supported": can[1].decode() if can else "",
                "said": "",
            }
        said = "ethtool tells it to root alone"
    return {"settings": None, "supported": None, "said": said}


def neighbour(request: dict[str, Any], _: str) -> dict[str, Any]:
    """Answer an address that answers now: the one that is named, or the gateway of the network in which `host` is."""
    address = request.get("address") or _gateway_beside(request["host"])
    found = _resolved(address)
    if not (_echoes(found) or any(_accepts(found, port) for port in KNOCKED)):
        raise HostProblem(f"{address} does not answer either")
    return {"address": address}


def _resolved(name: str) -> str:
    try:
        return str(socket.getaddrinfo(name, None, socket.AF_INET)[0][4][0])
    except OSError as error:
        raise HostProblem(f"{name} cannot be resolved: {explain(error)}") from error


def _gateway_beside(host: str) -> str:
    """Return the gateway of the network that this host shares with another."""
    target = struct.unpack("!I", socket.inet_aton(_resolved(host)))[0]
    routes = list(_routes())
    best = max(
        (route for route in routes if target & route[2] == route[1]),
        key=lambda route: route[2],
        default=None,
    )
    if best is None or best[3]:
        raise HostProblem(
            f"{host} is not on a network of the controller's; name an address that is with"
            " `canary:`"
        )
    gateways = [route[3] for route in routes if route[0] == best[0] and route[3]]
    if not gateways:
        raise HostProblem(
            f"the network of {host} has no gateway here; name an address there that always answers"
            " with `canary:`"
        )
    return socket.inet_ntoa(struct.pack("!I", gateways[0]))


def _routes() -> Iterator[tuple[str, int, int, int]]:
    """Yield interface, network, mask and gateway (0 for none) of every route."""
    for line in procfs.read("/proc/net/route", 65536).decode().splitlines()[1:]:
        words = line.split()
        network, gateway, mask = (socket.ntohl(int(words[place], 16)) for place in (1, 2, 7))
        yield words[0], network, mask, gateway if int(words[3], 16) & _GATEWAY_FLAG else 0


def _echoes(address: str) -> bool:
    """Return whether an echo request is answered. Source: icmp(7)."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP) as one,
        ):
            one.sendto(_echo_request(), (address, 0))
            until = time.monotonic() + ANSWER_SECONDS / 2
            while select.select([one], [], [], max(0.0, until - time.monotonic()))[0]:
                _, (source, *_rest) = one.recvfrom(1024)
                if source == address:
                    return True
            return False
    return False


def _echo_request() -> bytes:
    body = struct.pack("!BBHHH", _ECHO, 0, 0, os.getpid() & 0xFFFF, 1)
    total = sum(struct.unpack("!4H", body))
    total = (total >> 16) + (total & 0xFFFF)
    return struct.pack("!BBHHH", _ECHO, 0, ~total & 0xFFFF, os.getpid() & 0xFFFF, 1)


def _accepts(address: str, port: int) -> bool:
    """Return whether somebody is there: a connection that is refused is an answer too."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
        one.settimeout(ANSWER_SECONDS / len(KNOCKED))
        try:
            one.connect((address, port))
        except OSError as error:
            return error.errno in _ALIVE
        return True
