"""The wire to a plug: one exchange over HTTP with its error in words, and what a plug can say."""

from __future__ import annotations

import math
from base64 import b64encode
from typing import TYPE_CHECKING, NamedTuple, Protocol

from reconciler.edge.http import HttpClient
from reconciler.edge.http_reply import HttpFault
from reconciler.errors import Barred, Declined, DriverError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from pydantic import JsonValue

    from reconciler.edge.http_reply import Reply

OK, NOT_FOUND = 200, 404
WRONG = range(400, 500)
"""Statuses by which a server says that it did nothing."""

REFUSED = {401, 403}
LARGEST = 1024 * 1024


class Reading(NamedTuple):
    """The state of a plug, and what its meter counts; None is what it does not know.

    `doubt` says why something is not known that should be.
    """

    on: bool | None
    watts: float | None = None
    watt_hours: float | None = None
    doubt: str = ""


class PlugAddress(Protocol):
    """The address of a plug, and the PEM file of the certificate that it shows."""

    @property
    def url(self) -> str:
        """What every request begins with."""
        ...

    @property
    def certificate(self) -> str | None:
        """The file, None for what this machine trusts."""
        ...


class Outlet(Protocol):
    """One switched socket."""

    async def read(self) -> Reading:
        """Ask what the plug says; raise DriverError."""
        ...

    async def switch(self, on: bool) -> None:
        """Ask the plug to switch.

        Raise Declined when it said no, DriverError when that is not known.
        """
        ...


class Wire:
    """The way to one plug; each exchange takes `seconds` at most."""

    def __init__(
        self,
        place: PlugAddress,
        seconds: float,
        headers: Mapping[str, str] | None = None,
        digest: tuple[str, str] | None = None,
    ) -> None:
        self._url = place.url
        self._seconds = seconds
        self._http = HttpClient(headers, digest, place.certificate, follows=True)

    async def get(self, path: str) -> dict[str, JsonValue]:
        """Ask for an object; raise DriverError."""
        reply = await _answered(self._http.get(self._at(path), self._seconds, LARGEST))
        return mapping(_content(reply), reply.asked)

    async def post(self, path: str, content: JsonValue) -> None:
        """Send an object and have it accepted; raise DriverError."""
        exchange = self._http.post(self._at(path), content, self._seconds, LARGEST)
        _content(await _answered(exchange))

    def _at(self, path: str) -> str:
        return f"{self._url}{path}"


async def _answered(exchange: Awaitable[Reply]) -> Reply:
    """Raise Declined where nothing can have heard what was asked, DriverError where it may have."""
    try:
        return await exchange
    except HttpFault as error:
        raise Declined(error.message) if error.unheard else error from error


def _content(reply: Reply) -> JsonValue:
    """Read what was answered.

    Raise Declined where the server did nothing, Barred because of who asked.
    """
    said = f"{reply.asked} answered {reply.status}"
    if reply.status in REFUSED:
        raise Barred(f"{said}: check `user` and `password` of the plug in the inventory")
    if reply.status in WRONG:
        raise Declined(f"{said} with {reply.excerpt!r}{_advice(reply.status)}")
    if reply.elsewhere:
        raise Declined(f"{said}: {reply.elsewhere}; check `address`")
    if reply.status != OK:
        raise DriverError(f"{said} with {reply.excerpt!r}")
    return reply.json()


def _advice(status: int) -> str:
    if status == NOT_FOUND:
        return ": it does not know that; check `dialect` and `address`"
    return "; check `address` and what is there"


def mapping(value: JsonValue, asked: str) -> dict[str, JsonValue]:
    """Raise DriverError unless it is an object."""
    if not isinstance(value, dict):
        said = f"{str(value)[:80]!r}, which is not what such a plug says"
        raise DriverError(f"{asked} answered {said}; check `dialect`")
    return value


def inner(value: JsonValue, *keys: str | int) -> JsonValue:
    """Look up what lies at a path of keys and places, None where there is nothing."""
    for key in keys:
        value = _at(value, key)
    return value


def _at(value: JsonValue, key: str | int) -> JsonValue:
    if isinstance(value, dict) and isinstance(key, str):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return value[key]
    return None


def number(value: JsonValue) -> float | None:
    """Read a number; None for what is none, or no finite one."""
    # To Python, True is an integer.
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if math.isfinite(value) else None


def basic(user: str, password: str | None) -> dict[str, str]:
    """Make the header that says who asks; none without a password."""
    if password is None:
        return {}
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}
