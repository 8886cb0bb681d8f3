"""Speak HTTP as a client, to servers that may lie, stall or die: every exchange has a deadline and a size.

This is the only module that knows httpx, and it loads it at the first exchange. Connections are never kept open,
because an idle one delays the end of some servers; nothing is taken from the environment; redirects are answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias
from urllib.parse import urlencode

import anyio

from reconciler.errors import DriverError

if TYPE_CHECKING:
    import ssl

    import httpx
    from pydantic import JsonValue

RESPONSE_LIMIT = 64 * 1024 * 1024
EXCERPT = 120
UNAUTHORIZED = 401

NoAnswer: TypeAlias = Literal["refused", "timeout", "broken", "too large", "tls"]
Fault: TypeAlias = NoAnswer | Literal["not json"]


class Body(NamedTuple):
    """Hold what is sent, and of what kind it is."""

    kind: str
    content: bytes = b""


FORM = "application/x-www-form-urlencoded"
JSON = Body("application/json")


class HttpFault(DriverError):
    """Say what came of an exchange that did not end with a usable answer; `fault` tells the cases apart."""

    def __init__(self, fault: Fault, message: str) -> None:
        """Keep the sentence for people and the fault for code."""
        super().__init__(message)
        self.fault = fault


SENTENCES: Mapping[str, str] = {
    "refused": "{asked}: nobody accepts connections there ({words})",
    "timeout": "{asked} was not answered within {words}",
    "broken": "{asked}: the connection broke ({words})",
    "too large": "{asked} answered with more than {words}",
    "tls": "{asked}: it speaks TLS there ({words})",
}


def unanswered(fault: NoAnswer, asked: str, words: str) -> HttpFault:
    """Return what became of an exchange that had no answer, with what more there is to say."""
    return HttpFault(fault, SENTENCES[fault].format(asked=asked, words=words))


class Reply(NamedTuple):
    """Hold an answer, whatever its status; `reason` is the text of its status line."""

    asked: str
    status: int
    body: bytes
    reason: str = ""

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
    """Exchange requests and answers. Cheap to make; one is enough for everything that runs in one event loop.

    `headers` go with every request. `digest` is a user and password for servers that ask for RFC 7616. `certificate` is a PEM
    file that the certificate of an https server must be, or be signed by; without it, what this machine trusts counts.
    """

    def __init__(
        self, headers: Mapping[str, str] | None = None, digest: tuple[str, str] | None = None, certificate: str | None = None
    ) -> None:
        """Open nothing yet."""
        self._transport: httpx.AsyncHTTPTransport | None = None
        self._headers = dict(headers or {})
        self._digest = digest
        self._certificate = certificate

    async def get(self, url: str, deadline: float, limit: int = RESPONSE_LIMIT) -> Reply:
        """Return the answer to a GET within `deadline` seconds; raise HttpFault."""
        return await self._exchange("GET", url, JSON, deadline, limit)

    async def send(self, method: str, url: str, form: Mapping[str, str], deadline: float) -> Reply:
        """Return the answer to a form that was sent within `deadline` seconds; raise HttpFault."""
        return await self._exchange(method, url, Body(FORM, urlencode(form).encode()), deadline, RESPONSE_LIMIT)

    async def post(self, url: str, content: JsonValue, deadline: float, limit: int = RESPONSE_LIMIT) -> Reply:
        """Return the answer to a POST of JSON within `deadline` seconds, or hang up and raise HttpFault."""
        return await self._exchange("POST", url, JSON._replace(content=json.dumps(content).encode()), deadline, limit)

    async def _exchange(self, method: str, url: str, body: Body, deadline: float, limit: int) -> Reply:
        import httpx  # noqa: PLC0415  heavy, and not every command speaks HTTP

        # What stands after the ? may be a secret.
        asked = f"{method} {url.partition('?')[0]}"
        headers = {"Connection": "close", "Accept-Encoding": "identity", "Content-Type": body.kind, **self._headers}
        request = httpx.Request(method, url, headers=headers, content=body.content)
        try:
            with anyio.fail_after(deadline):
                response = await self._answered(request)
                reason = response.extensions.get("reason_phrase", b"").decode("latin-1")
                return Reply(asked, response.status_code, await _read(response, asked, limit), reason)
        except TimeoutError as error:
            raise unanswered("timeout", asked, f"{deadline:g} s") from error
        except httpx.ConnectError as error:
            raise unanswered("refused", asked, str(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise unanswered("broken", asked, f"{type(error).__name__}: {error}") from error

    async def _answered(self, request: httpx.Request) -> httpx.Response:
        """Return the answer to a request, which is made twice where the server asks for a digest."""
        import httpx  # noqa: PLC0415  heavy, and not every command speaks HTTP

        response = await self._open(request.url.scheme).handle_async_request(request)
        if self._digest is None or response.status_code != UNAUTHORIZED:
            return response
        response.request = request
        flow = httpx.DigestAuth(*self._digest).auth_flow(request)
        next(flow)
        try:
            proved = flow.send(response)
        except (StopIteration, LookupError, ValueError, NotImplementedError):
            # It asks for no digest, or for one that nobody can make: its 401 is the answer.
            return response
        await response.aclose()
        return await self._open(request.url.scheme).handle_async_request(proved)

    def _open(self, scheme: str) -> httpx.AsyncHTTPTransport:
        import httpx  # noqa: PLC0415  heavy, and not every command speaks HTTP

        if self._transport is None:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
            verify = _trusting(self._certificate) if scheme == "https" else False
            self._transport = httpx.AsyncHTTPTransport(verify=verify, trust_env=False, limits=limits)
        return self._transport


def _trusting(certificate: str | None) -> ssl.SSLContext:
    """Return what https servers must show; raise HttpFault. One certificate that is named is trusted whatever name it bears."""
    import ssl  # noqa: PLC0415  only who speaks https pays for it

    if certificate is None:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(certificate)
    except (OSError, ssl.SSLError) as error:
        raise HttpFault("broken", f"the certificate {certificate} cannot be used: {error}") from error
    return context


async def _read(response: httpx.Response, asked: str, limit: int) -> bytes:
    """Return a whole body of at most `limit` bytes, and close the connection either way."""
    try:
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > limit:
                raise unanswered("too large", asked, f"{limit} bytes")
            chunks.append(chunk)
        return b"".join(chunks)
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()
