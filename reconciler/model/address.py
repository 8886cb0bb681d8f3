"""Addresses of machines, and of what is asked over HTTP.

Every driver has its addresses judged here: what passes can be dialled. What is refused of a URL is
never repeated, because some people write passwords into URLs.
Source: RFC 1123 section 2.1, RFC 3986 section 3.2.
"""

import re
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Annotated, NamedTuple, TypeAlias

from pydantic import AfterValidator

LONGEST_NAME, LONGEST_LABEL, LONGEST_ACCOUNT, LAST_PORT = 253, 63, 64, 65535
_LABEL = re.compile(r"\w(?:[\w-]*\w)?")
_ACCOUNT = re.compile(r"[A-Za-z_][\w.-]*\$?")
_URL = re.compile(r"(?:(https?)://)?([^/%]*)/?")
_BRACKETED = re.compile(r"\[([^\]]*)\](?::(.*))?")


class Endpoint(NamedTuple):
    """Where HTTP is spoken.

    `scheme` is empty and `port` None where they were not written; IPv6 has brackets in `host`.
    """

    scheme: str
    host: str
    port: int | None

    @property
    def place(self) -> str:
        """Host and port as a URL has them."""
        return self.host if self.port is None else f"{self.host}:{self.port}"


def endpoint(text: str, phrase: str, schemes: tuple[str, ...] = ("https",)) -> Endpoint:
    """What an address or the beginning of a URL means.

    Raise ValueError that begins with `expected` and the phrase.
    """
    found = _URL.fullmatch(text)
    if found is None or (found[1] and found[1] not in schemes):
        beginning = " or ".join(f"{one}://" for one in schemes)
        raise _wrong(phrase, f"it may begin with {beginning}, and has no path")
    scheme, place = found[1] or "", found[2]
    # Tried first, as long as no colon of a bare IPv6 address is taken for the one before a port.
    with suppress(ValueError):
        return Endpoint(scheme, f"[{IPv6Address(place)}]", None)
    host, port, why = _parted(place)
    if why := why or _port_objection(port):
        raise _wrong(phrase, why)
    return Endpoint(scheme, host, int(port) if port else None)


def _parted(place: str) -> tuple[str, str | None, str]:
    """Split `HOST[:PORT]` into the host, the port and what is wrong with the host."""
    if bracketed := _BRACKETED.fullmatch(place):
        why = "" if _is_ipv6(bracketed[1]) else "what is in brackets is an IPv6 address"
        return f"[{bracketed[1]}]", bracketed[2], why
    before, colon, after = place.rpartition(":")
    host, port = (before, after) if colon else (place, None)
    return host, port, _objection(host) or ("" if host.isascii() else "only ASCII is dialled")


def machine(text: str) -> str:
    """Check a name or an IP address and leave it as it is; raise ValueError."""
    why = "" if _is_ipv6(text) else _objection(text)
    if why:
        raise ValueError(
            f'found "{text}", expected a name or an address, such as gpu-box.lan, without a user or'
            f" a port: {why}"
        )
    return text


def account(text: str) -> str:
    """Check the name of a user; raise ValueError."""
    if len(text) > LONGEST_ACCOUNT or not _ACCOUNT.fullmatch(text):
        raise ValueError(f'found "{text}", expected the name of a user, such as llm')
    return text


def broadcast(text: str) -> str:
    """Check an IPv4 address that packets are sent to.

    Raise ValueError, with the broadcast address of the network where a network was written.
    """
    if _is_ipv4(text):
        return text
    hint = ""
    with suppress(ValueError):
        there = IPv4Network(text, strict=False).broadcast_address
        hint = f"; that of the network {text} is {there}"
    raise ValueError(f"expected the broadcast address of a network, such as 192.168.1.255{hint}")


def local(text: str) -> str:
    """Check an IPv4 address that a machine has itself; raise ValueError."""
    if _is_ipv4(text):
        return text
    raise ValueError("expected an IPv4 address of the sender, such as 192.168.1.5")


def _objection(host: str) -> str:
    """Why this is no name and no IPv4 address, empty when it is one."""
    labels = host.removesuffix(".").split(".")
    if len(host) > LONGEST_NAME or max(map(len, labels)) > LONGEST_LABEL:
        return f"a name has at most {LONGEST_NAME} characters, and {LONGEST_LABEL} between its dots"
    if not all(map(_LABEL.fullmatch, labels)):
        return (
            "a name has letters, digits, dashes and single dots; a port follows one colon, IPv6"
            " stands in brackets"
        )
    # No name ends in a number (RFC 1123 section 2.1), and `10.0.1` would be dialled as 10.0.0.1.
    if labels[-1].isdecimal() and not _is_ipv4(host):
        return (
            "four numbers up to 255 are an IPv4 address, and nothing else that ends in a number"
            " is a name"
        )
    return ""


def _port_objection(port: str | None) -> str:
    is_port = port is None or (
        port.isascii() and port.isdecimal() and 1 <= int(port[:6]) <= LAST_PORT
    )
    return "" if is_port else f"a port is a number from 1 to {LAST_PORT}"


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _wrong(phrase: str, why: str) -> ValueError:
    return ValueError(f"expected {phrase}: {why}")


Account: TypeAlias = Annotated[str, AfterValidator(account)]
Machine: TypeAlias = Annotated[str, AfterValidator(machine)]
Broadcast: TypeAlias = Annotated[str, AfterValidator(broadcast)]
Local: TypeAlias = Annotated[str, AfterValidator(local)]
