"""Speak HTTP as a client, to servers that may lie, stall or die: every exchange has a deadline and a size.

This is the only module that knows httpx, and it loads it at the first exchange. Connections are never kept open,
because an idle one delays the end of some servers; nothing is taken from the environment; redirects are answers.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import anyio

from reconciler.errors import DriverError

if TYPE_CHECKING:
    import httpx
    from pydantic import JsonValue

RESPONSE_LIMIT = 64 * 1024 * 1024
EXCERPT = 120

Fault: TypeAlias = Literal["refused", "timeout", "broken", "too large", "not json"]


class HttpFault(DriverError):
    """Say what came of an exchange that did not end with a usable answer; `fault` tells the cases apart."""

    def __init__(self, fault: Fault, message: str) -> None:
        """Keep the sentence for people and the fault for code."""
        super().__init__(message)
        self.fault = fault


class Reply(NamedTuple):
    """Hold an answer, whatever its status."""

    asked: str
    status: int
    body: bytes

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def excerpt(self) -> str:
        """Return the beginning of the body on one line, for a sentence."""
        return " ".join(self.text[: 4 * EXCERPT].split())[:EXCERPT] or "nothing"

    def json(self) -> JsonValue:
        """Return the parsed body; raise HttpFault."""
        try:
            parsed: JsonValue = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise HttpFault("not json", f"{self.asked} answered {self.status} with {self.excerpt!r}, not with JSON") from error
        return parsed


class HttpClient:
    """Exchange requests and answers. Cheap to make; one is enough for everything that runs in one event loop."""

    def __init__(self) -> None:
        """Open nothing yet."""
        self._transport: httpx.AsyncHTTPTransport | None = None

    async def get(self, url: str, deadline: float, limit: int = RESPONSE_LIMIT) -> Reply:
        """Return the answer to a GET within `deadline` seconds; raise HttpFault."""
        return await self._exchange("GET", url, b"", deadline, limit)

    async def post(self, url: str, content: JsonValue, deadline: float, limit: int = RESPONSE_LIMIT) -> Reply:
        """Return the answer to a POST of JSON within `deadline` seconds, or hang up and raise HttpFault."""
        return await self._exchange("POST", url, json.dumps(content).encode(), deadline, limit)

    async def _exchange(self, method: str, url: str, body: bytes, deadline: float, limit: int) -> Reply:
        import httpx  # noqa: PLC0415  heavy, and not every command speaks HTTP

        asked = f"{method} {url}"
        headers = {"Connection": "close", "Accept-Encoding": "identity", "Content-Type": "application/json"}
        request = httpx.Request(method, url, headers=headers, content=body)
        try:
            with anyio.fail_after(deadline):
                response = await self._open().handle_async_request(request)
                return Reply(asked, response.status_code, await _read(response, asked, limit))
        except TimeoutError as error:
            raise HttpFault("timeout", f"{asked} was not answered within {deadline:g} s") from error
        except httpx.ConnectError as error:
            raise HttpFault("refused", f"{asked}: nobody accepts connections there ({error})") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise HttpFault("broken", f"{asked}: the connection broke ({type(error).__name__}: {error})") from error

    def _open(self) -> httpx.AsyncHTTPTransport:
        import httpx  # noqa: PLC0415  heavy, and not every command speaks HTTP

        if self._transport is None:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
            self._transport = httpx.AsyncHTTPTransport(verify=False, trust_env=False, limits=limits)
        return self._transport


async def _read(response: httpx.Response, asked: str, limit: int) -> bytes:
    """Return a whole body of at most `limit` bytes, and close the connection either way."""
    try:
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > limit:
                raise HttpFault("too large", f"{asked} answered with more than {limit} bytes")
            chunks.append(chunk)
        return b"".join(chunks)
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()
