"""Addresses of machines, and of what is asked over HTTP. Every driver has its addresses judged here: what passes can be dialled.

What is refused of a URL is never repeated: some people write passwords into those.
Source: RFC 1123 section 2.1, RFC 3986 section 3.2.
"""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Annotated, NamedTuple, TypeAlias

from pydantic import AfterValidator

LONGEST_NAME, LONGEST_LABEL, LONGEST_ACCOUNT, LAST_PORT = 253, 63, 64, 65535
_LABEL = re.compile(r"\w(?:[\w-]*\w)?")
_ACCOUNT = re.compile(r"[A-Za-z_][\w.-]*\$?")
_URL = re.compile(r"(?:(https?)://)?([^/%]*)/?")


class Endpoint(NamedTuple):
    """Where HTTP is spoken.

    `scheme` is empty and `port` None where nobody wrote them; IPv6 has brackets in `host`.
    """

    scheme: str
    host: str
    port: int | None

    @property
    def place(self) -> str:
        """Host and port as a URL has them."""
        return self.host if self.port is None else f"{self.host}:{self.port}"


def endpoint(text: str, phrase: str, schemes: tuple[str, ...] = ("https",)) -> Endpoint:
    """Return what an address or the beginning of a URL means.

    Raise ValueError that begins with `expected` and the phrase.
    """
    found = _URL.fullmatch(text)
    if found is None or (found[1] and found[1] not in schemes):
        raise _wrong(
            phrase,
            f"it may begin with {' or '.join(f'{one}://' for one in schemes)}, and has no path",
        )
    scheme, place = found[1] or "", found[2]
    with suppress(ValueError):
        return Endpoint(scheme, f"[{IPv6Address(place)}]", None)
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", place)
    host, port = (bracketed[1], bracketed[2]) if bracketed else _parted(place)
    if bracketed:
        why = "" if _is_ipv6(host) else "what is in brackets is an IPv6 address"
    else:
        why = _objection(host) or ("" if host.isascii() else "only ASCII is dialled")
    if why := why or _port_objection(port):
        raise _wrong(phrase, why)
    return Endpoint(scheme, f"[{host}]" if bracketed else host, int(port) if port else None)


def _parted(place: str) -> tuple[str, str | None]:
    host, colon, port = place.rpartition(":")
    return (host, port) if colon else (place, None)


def machine(text: str) -> str:
    """Return a name or an IP address, as it is; raise ValueError."""
    why = "" if _is_ipv6(text) else _objection(text)
    if why:
        raise ValueError(
            f'found "{text}", expected a name or an address, such as gpu-box.lan, without a user or'
            f" a port: {why}"
        )
    return text


def account(text: str) -> str:
    """Return the name of a user; raise ValueError."""
    if len(text) > LONGEST_ACCOUNT or not _ACCOUNT.fullmatch(text):
        raise ValueError(f'found "{text}", expected the name of a user, such as llm')
    return text


def broadcast(text: str) -> str:
    """Return an IPv4 address that packets are sent to.

    Raise ValueError, with the address of a network where one was written.
    """
    with suppress(ValueError):
        return str(IPv4Address(text))
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        network = None
    hint = (
        f"; that of the network {text} is {network.broadcast_address}"
        if network and network.version == 4  # noqa: PLR2004
        else ""
    )
    raise ValueError(f"expected the broadcast address of a network, such as 192.168.1.255{hint}")


def local(text: str) -> str:
    """Return an IPv4 address of a machine's own; raise ValueError."""
    with suppress(ValueError):
        return str(IPv4Address(text))
    raise ValueError("expected an IPv4 address of the sender, such as 192.168.1.5")


def _objection(host: str) -> str:
    """Return why a name or an IPv4 address is none, empty when it is one."""
    labels = host.removesuffix(".").split(".")
    if len(host) > LONGEST_NAME or max(map(len, labels)) > LONGEST_LABEL:
        return f"a name has at most {LONGEST_NAME} characters, and {LONGEST_LABEL} between its dots"
    if not all(map(_LABEL.fullmatch, labels)):
        return (
            "a name has letters, digits, dashes and single dots; a port follows one colon, IPv6"
            " stands in brackets"
        )
    if labels[-1].isdecimal():
        try:
            IPv4Address(host)
        except ValueError:
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
