"""What all dialects of plugs share: one exchange over HTTP with its error in words, and what a plug can say."""

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
    """What a plug says: whether it is switched on, None where it does not know, and what its meter counts.

    `doubt` says why something is not known that should be.
    """

    on: bool | None
    watts: float | None = None
    watt_hours: float | None = None
    doubt: str = ""


class PlugAddress(Protocol):
    """Where a plug is, and which certificate it shows, by a PEM file."""

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
        """Return what the plug says; raise DriverError."""
        ...

    async def switch(self, on: bool) -> None:
        """Ask the plug to switch.

        Raise Declined when it said no, DriverError when nobody can say.
        """
        ...


class Wire:
    """Exchange requests and answers with one plug, each within `seconds`."""

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
        """Return the object that is answered to a GET; raise DriverError."""
        reply = await _answered(self._http.get(f"{self._url}{path}", self._seconds, LARGEST))
        return mapping(_content(reply), reply.asked)

    async def post(self, path: str, content: JsonValue) -> None:
        """Send an object and have it accepted; raise DriverError."""
        _content(
            await _answered(self._http.post(f"{self._url}{path}", content, self._seconds, LARGEST))
        )


async def _answered(exchange: Awaitable[Reply]) -> Reply:
    """Return the answer.

    Raise Declined where nobody was there to hear what was asked, DriverError where somebody may
    have.
    """
    try:
        return await exchange
    except HttpFault as error:
        raise Declined(error.message) if error.unheard else error from error


def _content(reply: Reply) -> JsonValue:
    """Return what was answered.

    Raise Declined where the server did nothing, Barred because of who asked.
    """
    if reply.status in REFUSED:
        raise Barred(
            f"{reply.asked} answered {reply.status}: check `user` and `password` of the plug in the"
            " inventory"
        )
    if reply.status == NOT_FOUND:
        raise Declined(
            f"{reply.asked} answered 404 with {reply.excerpt!r}: it does not know that; check"
            " `dialect` and `address`"
        )
    if reply.status in WRONG:
        raise Declined(
            f"{reply.asked} answered {reply.status} with {reply.excerpt!r}; check `address` and"
            " what is there"
        )
    if reply.elsewhere:
        raise Declined(f"{reply.asked} answered {reply.status}: {reply.elsewhere}; check `address`")
    if reply.status != OK:
        raise DriverError(f"{reply.asked} answered {reply.status} with {reply.excerpt!r}")
    return reply.json()


def mapping(value: JsonValue, asked: str) -> dict[str, JsonValue]:
    """Return an object; raise DriverError."""
    if not isinstance(value, dict):
        raise DriverError(
            f"{asked} answered {str(value)[:80]!r}, which is not what such a plug says; check"
            " `dialect`"
        )
    return value


def inner(value: JsonValue, *keys: str | int) -> JsonValue:
    """Return what lies at a path of keys and places, None where there is nothing."""
    for key in keys:
        if isinstance(value, dict) and isinstance(key, str):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return None
    return value


def number(value: JsonValue) -> float | None:
    """Return a number that is one."""
    return (
        float(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        else None
    )


def basic(user: str, password: str | None) -> dict[str, str]:
    """Return the header that says who asks; none without a password."""
    return (
        {}
        if password is None
        else {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}
    )
