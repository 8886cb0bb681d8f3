"""Speak HTTP as a client, to servers that may lie, stall or die: within a deadline and a size.

This is the only module that knows httpx, and it loads it at the first exchange. Connections are not
kept open, because an idle one delays the end of some servers, except where a client is given one to
keep. Nothing is taken from the environment. A redirect is an answer; only a client that `follows`
goes there, and only on the same host: RFC 9110, section 15.4.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

import anyio

from reconciler.edge.certificate import mistrust, trusting
from reconciler.edge.http_reply import EXCERPT, UNAUTHORIZED, HttpFault, Reply, unanswered

if TYPE_CHECKING:
    import ssl

    import httpx
    from pydantic import JsonValue

    from reconciler.edge.loop_scope import LoopScope

RESPONSE_LIMIT = 64 * 1024 * 1024
REDIRECTS, KEEPING = {301, 302, 303, 307, 308}, {307, 308}
"""Statuses of a redirect, and those of them that keep method and body as they are."""

MOST_HOPS = 3
LINGER_SECONDS = 30.0
"""How long a kept connection waits for the next question: longer than the answer to one may take,
shorter than a BMC minds."""


def load() -> None:
    """Load httpx now, where nothing waits for it: that holds up an event loop for 70 ms."""
    # With what httpx itself loads only then.
    _transport(verify=False)


class Body(NamedTuple):
    """What is sent, and its media type."""

    kind: str
    content: bytes = b""


FORM = "application/x-www-form-urlencoded"
JSON = Body("application/json")


class PersistentConnection:
    """A connection to one server that the next question within LINGER_SECONDS goes over too.

    For questions alone, which may be asked twice: that a server has let go of a connection may be
    noticed only when it is used.
    """

    def __init__(self, certificate: str | None, loop: LoopScope) -> None:
        """Open nothing yet; what is opened later is closed when `loop` ends, at the latest."""
        self._certificate = certificate
        self._loop = loop
        self._transport: httpx.AsyncHTTPTransport | None = None
        self._lingering: anyio.CancelScope
        self._answered = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and once more if the connection had answered others and then broke."""
        import httpx  # noqa: PLC0415  heavy, and not every command speaks HTTP

        transport = self._transport = self._transport or self._opened()
        self._lingering.deadline = anyio.current_time() + LINGER_SECONDS
        try:
            response = await transport.handle_async_request(request)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            if not self._answered:
                raise
            self._answered = False
            response = await transport.handle_async_request(request)
        except httpx.ConnectError:
            # The file with the certificate is read again the next time, because the operator may
            # be told to fix it.
            self._lingering.cancel()
            self._transport = None
            raise
        self._answered = True
        return response

    def _opened(self) -> httpx.AsyncHTTPTransport:
        transport = _transport(trusting(self._certificate), kept=1)
        self._answered, self._lingering = False, anyio.CancelScope()
        self._loop.start(partial(self._linger, transport, self._lingering))
        return transport

    async def _linger(
        self, transport: httpx.AsyncHTTPTransport, lingering: anyio.CancelScope
    ) -> None:
        """Close the connection after a while without questions, or when the loop ends."""
        try:
            with lingering:
                await anyio.sleep_forever()
        finally:
            if self._transport is transport:
                self._transport = None
            with anyio.CancelScope(shield=True):
                await transport.aclose()


class HttpClient:
    """A client for requests and answers, cheap to make; one is enough for a whole event loop.

    `headers` go with every request. `digest` is a user and password for servers that ask for RFC
    7616. `certificate` is a PEM file that the certificate of an https server must be, or be signed
    by; without it, what this machine trusts counts. One that `follows` goes where it is sent on the
    same host, never from https to http. Questions go over what is `kept`, if anything is.
    """

    def __init__(
        self,
        headers: Mapping[str, str] | None = None,
        digest: tuple[str, str] | None = None,
        certificate: str | None = None,
        *,
        follows: bool = False,
        kept: PersistentConnection | None = None,
    ) -> None:
        self._transports: dict[str, httpx.AsyncHTTPTransport] = {}
        self._kept = kept
        self._hops = MOST_HOPS if follows else 0
        self._headers = dict(headers or {})
        self._digest = digest
        self._certificate = certificate

    async def get(self, url: str, deadline: float, limit: int = RESPONSE_LIMIT) -> Reply:
        """Ask for a page; raise HttpFault when there is no answer within `deadline` seconds."""
        return await self._exchange("GET", url, JSON, deadline, limit)

    async def send(self, method: str, url: str, form: Mapping[str, str], deadline: float) -> Reply:
        """Send a form; raise HttpFault when there is no answer within `deadline` seconds."""
        body = Body(FORM, urlencode(form).encode())
        return await self._exchange(method, url, body, deadline, RESPONSE_LIMIT)

    async def post(
        self, url: str, content: JsonValue, deadline: float, limit: int = RESPONSE_LIMIT
    ) -> Reply:
        """Send JSON; hang up and raise HttpFault without an answer within `deadline` seconds."""
        body = JSON._replace(content=json.dumps(content).encode())
        return await self._exchange("POST", url, body, deadline, limit)

    async def _exchange(
        self, method: str, url: str, body: Body, deadline: float, limit: int
    ) -> Reply:
        import httpx  # noqa: PLC0415  heavy, and not every command speaks HTTP

        # What stands after the ? may be a secret.
        asked = f"{method} {url.partition('?')[0]}"
        try:
            with anyio.fail_after(deadline):
                headers = self._headers_of(method, body)
                request = httpx.Request(method, url, headers=headers, content=body.content)
                response, elsewhere = await self._followed(request, limit)
                reason = response.extensions.get("reason_phrase", b"").decode("latin-1")
                content = await _read(response, asked, limit)
                return Reply(asked, response.status_code, content, reason, elsewhere)
        except TimeoutError as error:
            raise unanswered("timeout", asked, f"{deadline:g} s") from error
        except httpx.ConnectError as error:
            raise self._unconnected(asked, url, error) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise unanswered("broken", asked, f"{type(error).__name__}: {error}") from error

    def _headers_of(self, method: str, body: Body) -> dict[str, str]:
        return {
            "Connection": "close" if self._keeps(method) is None else "keep-alive",
            # The body is counted and read as it comes (`_read`); nothing here could unpack it.
            "Accept-Encoding": "identity",
            "Content-Type": body.kind,
            **self._headers,
        }

    def _unconnected(self, asked: str, url: str, error: httpx.ConnectError) -> HttpFault:
        """Why there is no connection: nothing listens there, or not the server that was meant."""
        import ssl  # noqa: PLC0415  httpx has loaded it

        # httpx wraps what httpcore wraps, which raises it again `from None`: what was wrapped is
        # its context all the same.
        cause = error.__cause__ and error.__cause__.__context__
        if isinstance(cause, ssl.SSLCertVerificationError):
            return unanswered("untrusted", asked, mistrust(url, cause, self._certificate))
        return unanswered(
            "no tls" if isinstance(cause, ssl.SSLError) else "refused", asked, str(error)
        )

    def _keeps(self, method: str) -> PersistentConnection | None:
        """Pick the connection that is kept for what may be asked twice."""
        return self._kept if method == "GET" else None

    async def _followed(self, request: httpx.Request, limit: int) -> tuple[httpx.Response, str]:
        """Follow redirects; the second value is, in words, the one that is not followed."""
        response = await self._answered(request)
        for _ in range(self._hops):
            onward, _ = _onward(request, response)
            if onward is None:
                break
            # A connection goes on only after what was read to the end.
            await _read(response, f"{request.method} {request.url.path}", limit)
            request = onward
            response = await self._answered(request)
        return response, _onward(request, response)[1]

    async def _answered(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and once more with a digest where the server asks for one."""
        response = await self._open(request).handle_async_request(request)
        if self._digest is None or response.status_code != UNAUTHORIZED:
            return response
        proved = _proved(request, response, self._digest)
        if proved is None:
            return response
        await response.aclose()
        return await self._open(request).handle_async_request(proved)

    def _open(self, request: httpx.Request) -> httpx.AsyncHTTPTransport | PersistentConnection:
        scheme = request.url.scheme
        if (kept := self._keeps(request.method)) is not None:
            return kept
        if scheme not in self._transports:
            verify = trusting(self._certificate) if scheme == "https" else False
            self._transports[scheme] = _transport(verify)
        return self._transports[scheme]


def _proved(
    request: httpx.Request, response: httpx.Response, digest: tuple[str, str]
) -> httpx.Request | None:
    """Repeat a request with the digest that a 401 asks for, None where that cannot be made."""
    import httpx  # noqa: PLC0415  heavy, and not every command speaks HTTP

    response.request = request
    flow = httpx.DigestAuth(*digest).auth_flow(request)
    next(flow)
    try:
        return flow.send(response)
    except (StopIteration, LookupError, ValueError, NotImplementedError):
        # It asks for no digest, or for one that cannot be made: its 401 is the answer.
        return None


def _transport(verify: ssl.SSLContext | bool, kept: int = 0) -> httpx.AsyncHTTPTransport:
    """Make connections, of which `kept` stay open while nothing is asked."""
    import httpx  # noqa: PLC0415  heavy, and not every command speaks HTTP

    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=kept, keepalive_expiry=None
    )
    return httpx.AsyncHTTPTransport(verify=verify, trust_env=False, limits=limits)


def _onward(request: httpx.Request, response: httpx.Response) -> tuple[httpx.Request | None, str]:
    """Find the request that a redirect leads to, if it may be followed, and put it in words."""
    import httpx  # noqa: PLC0415  heavy, and not every command speaks HTTP

    named = response.headers.get("Location")
    if response.status_code not in REDIRECTS or named is None:
        return None, ""
    try:
        to = request.url.join(named)
    except httpx.InvalidURL:
        return None, "go to what is no address"
    where = _shown(to)
    if astray := _astray(request.url, to):
        return None, f"{where}, which is {astray}"
    if request.method != "GET" and response.status_code not in KEEPING:
        return None, where
    headers = {name: value for name, value in request.headers.items() if name != "host"}
    return httpx.Request(request.method, to, headers=headers, content=request.content), where


def _shown(to: httpx.URL) -> str:
    # Without what stands after the ?, which may be a secret.
    port = f":{to.port}" if to.port else ""
    return f"go to {to.scheme}://{to.host}{port}{to.path}"[:EXCERPT]


def _astray(asked: httpx.URL, to: httpx.URL) -> str:
    """Why a redirect is not followed: passwords are for one server, and are encrypted if it was."""
    if to.host != asked.host:
        return "another host"
    if to.scheme != "https" and asked.scheme == "https":
        return "not encrypted"
    return "another port" if to.scheme == asked.scheme and to.port != asked.port else ""


async def _read(response: httpx.Response, asked: str, limit: int) -> bytes:
    """Read a whole body of at most `limit` bytes, and close the connection either way."""
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > limit:
                raise unanswered("too large", asked, f"{limit} bytes")
        return bytes(body)
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()
