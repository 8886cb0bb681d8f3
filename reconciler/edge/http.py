"""Speak HTTP as a client, to servers that may lie, stall or die: every exchange has a deadline and a size.

This is the only module that knows httpx, and it loads it at the first exchange. Connections are not
kept open, because an idle one delays the end of some servers, except where a client is given one to
keep. Nothing is taken from the environment. A redirect is an answer, and followed by a client that
is to, on the same host alone: RFC 9110, section 15.4.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias
from urllib.parse import urlencode

import anyio

from reconciler.errors import DriverError

if TYPE_CHECKING:
    import ssl

    import httpx
    from pydantic import JsonValue

    from reconciler.edge.loop_scope import LoopScope

RESPONSE_LIMIT = 64 * 1024 * 1024
EXCERPT = 120
UNAUTHORIZED = 401
REDIRECTS, KEEPING = {301, 302, 303, 307, 308}, {307, 308}
"""Statuses that send whoever asks elsewhere, and those of them that keep what is asked as it is."""

OUT_OF_DATE = {9, 10}
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL's x509_vfy.h, which
`ssl` has no names for."""

MOST_HOPS = 3
LINGER_SECONDS = 30.0
"""How long a kept connection waits for the next question: longer than the answer to one may take,
shorter than a BMC minds."""

NoAnswer: TypeAlias = Literal[
    "refused", "timeout", "broken", "too large", "tls", "untrusted", "no tls"
]
Fault: TypeAlias = NoAnswer | Literal["not json"]


class Body(NamedTuple):
    """What is sent, and of what kind it is."""

    kind: str
    content: bytes = b""


FORM = "application/x-www-form-urlencoded"
JSON = Body("application/json")


class HttpFault(DriverError):
    """What came of an exchange that did not end with a usable answer.

    `fault` tells the cases apart.
    """

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault

    @property
    def unheard(self) -> bool:
        """Whether nobody was there to hear what was asked, so that nothing comes of it."""
        return self.fault in {"refused", "untrusted", "no tls"}


SENTENCES: Mapping[str, str] = {
    "refused": "{asked}: nothing accepts connections there ({words})",
    "timeout": "{asked} was not answered within {words}",
    "broken": "{asked}: the connection broke ({words})",
    "too large": "{asked} answered with more than {words}",
    "tls": "{asked}: it speaks TLS there ({words})",
    "untrusted": "{asked}: it shows a certificate that {words}",
    "no tls": "{asked}: it does not speak TLS there ({words}); check `address`",
}


def unanswered(fault: NoAnswer, asked: str, words: str) -> HttpFault:
    """Return what became of an exchange that had no answer, with what more there is to say."""
    return HttpFault(fault, SENTENCES[fault].format(asked=asked, words=words))


class Reply(NamedTuple):
    """An answer, whatever its status; `reason` is the text of its status line.

    `elsewhere` says where it sends whoever asks, and why nobody went there.
    """

    asked: str
    status: int
    body: bytes
    reason: str = ""
    elsewhere: str = ""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def excerpt(self) -> str:
        """The beginning of the body on one line, for a sentence.

        Of one that sends elsewhere, that.
        """
        return self.elsewhere or " ".join(self.text[: 4 * EXCERPT].split())[:EXCERPT] or "nothing"

    def json(self) -> JsonValue:
        """Return the parsed body; raise HttpFault."""
        try:
            parsed: JsonValue = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise HttpFault(
                "not json",
                f"{self.asked} answered {self.status} with {self.excerpt!r}, not with JSON",
            ) from error
        return parsed


class PersistentConnection:
    """A connection to one server that outlives who asks: the next one within LINGER_SECONDS goes on over it.

    For questions alone, which may be asked twice: that a server has let go of a connection may be
    seen only when it is used.
    """

    def __init__(self, certificate: str | None, loop: LoopScope) -> None:
        """Open nothing yet, and be in no event loop yet.

        What is opened is closed when the loop ends at the latest.
        """
        self._certificate = certificate
        self._loop = loop
        self._transport: httpx.AsyncHTTPTransport | None = None
        self._lingering: anyio.CancelScope
        self._answered = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer, to a second request where the first met the end of a connection over which others were answered."""
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
            # The file with the certificate is read again the next time: somebody may be told to fix
            # it.
            self._lingering.cancel()
            self._transport = None
            raise
        self._answered = True
        return response

    def _opened(self) -> httpx.AsyncHTTPTransport:
        transport = _transport(_trusting(self._certificate), kept=1)
        self._answered, self._lingering = False, anyio.CancelScope()
        self._loop.start(partial(self._linger, transport, self._lingering))
        return transport

    async def _linger(
        self, transport: httpx.AsyncHTTPTransport, lingering: anyio.CancelScope
    ) -> None:
        """Close when nobody has asked for a while, or the loop ends."""
        try:
            with lingering:
                await anyio.sleep_forever()
        finally:
            self._transport = None if self._transport is transport else self._transport
            with anyio.CancelScope(shield=True):
                await transport.aclose()


class HttpClient:
    """Exchange requests and answers.

    Cheap to make; one is enough for everything that runs in one event loop.

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
        """Return the answer to a GET within `deadline` seconds; raise HttpFault."""
        return await self._exchange("GET", url, JSON, deadline, limit)

    async def send(self, method: str, url: str, form: Mapping[str, str], deadline: float) -> Reply:
        """Return the answer to a form that was sent within `deadline` seconds; raise HttpFault."""
        return await self._exchange(
            method, url, Body(FORM, urlencode(form).encode()), deadline, RESPONSE_LIMIT
        )

    async def post(
        self, url: str, content: JsonValue, deadline: float, limit: int = RESPONSE_LIMIT
    ) -> Reply:
        """Return the answer to a POST of JSON within `deadline` seconds, or hang up and raise HttpFault."""
        return await self._exchange(
            "POST", url, JSON._replace(content=json.dumps(content).encode()), deadline, limit
        )

    async def _exchange(
        self, method: str, url: str, body: Body, deadline: float, limit: int
    ) -> Reply:
        import httpx  # noqa: PLC0415  heavy, and not every command speaks HTTP

        # What stands after the ? may be a secret.
        asked = f"{method} {url.partition('?')[0]}"
        connection = "close" if self._keeps(method) is None else "keep-alive"
        headers = {
            "Connection": connection,
            "Accept-Encoding": "identity",
            "Content-Type": body.kind,
            **self._headers,
        }
        try:
            with anyio.fail_after(deadline):
                response, elsewhere = await self._followed(
                    httpx.Request(method, url, headers=headers, content=body.content), limit
                )
                reason = response.extensions.get("reason_phrase", b"").decode("latin-1")
                return Reply(
                    asked,
                    response.status_code,
                    await _read(response, asked, limit),
                    reason,
                    elsewhere,
                )
        except TimeoutError as error:
            raise unanswered("timeout", asked, f"{deadline:g} s") from error
        except httpx.ConnectError as error:
            raise self._unconnected(asked, url, error) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise unanswered("broken", asked, f"{type(error).__name__}: {error}") from error

    def _unconnected(self, asked: str, url: str, error: httpx.ConnectError) -> HttpFault:
        """Return why there is no connection: nobody is there, or somebody who is not the one that was meant."""
        import ssl  # noqa: PLC0415  httpx has loaded it

        # httpx wraps what httpcore wraps, which raises it again `from None`: what was wrapped is
        # its context all the same.
        cause = error.__cause__ and error.__cause__.__context__
        if isinstance(cause, ssl.SSLCertVerificationError):
            return unanswered("untrusted", asked, _mistrust(url, cause, self._certificate))
        return unanswered(
            "no tls" if isinstance(cause, ssl.SSLError) else "refused", asked, str(error)
        )

    def _keeps(self, method: str) -> PersistentConnection | None:
        """Return the connection that is kept for what may be asked twice."""
        return self._kept if method == "GET" else None

    async def _followed(self, request: httpx.Request, limit: int) -> tuple[httpx.Response, str]:
        """Return the answer to a request, after a few redirects where they are followed, and where it sends us otherwise."""
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
        """Return the answer to a request, which is made twice where the server asks for a digest."""
        import httpx  # noqa: PLC0415  heavy, and not every command speaks HTTP

        response = await self._open(request).handle_async_request(request)
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
        return await self._open(request).handle_async_request(proved)

    def _open(self, request: httpx.Request) -> httpx.AsyncHTTPTransport | PersistentConnection:
        scheme = request.url.scheme
        if (kept := self._keeps(request.method)) is not None:
            return kept
        if scheme not in self._transports:
            self._transports[scheme] = _transport(
                _trusting(self._certificate) if scheme == "https" else False
            )
        return self._transports[scheme]


def _transport(verify: ssl.SSLContext | bool, kept: int = 0) -> httpx.AsyncHTTPTransport:
    """Return what makes connections, and keeps so many of them open when nothing is asked."""
    import httpx  # noqa: PLC0415  heavy, and not every command speaks HTTP

    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=kept, keepalive_expiry=None
    )
    return httpx.AsyncHTTPTransport(verify=verify, trust_env=False, limits=limits)


def _onward(request: httpx.Request, response: httpx.Response) -> tuple[httpx.Request | None, str]:
    """Return the request that a redirect leads to where it may be followed, and the redirect in words."""
    import httpx  # noqa: PLC0415  heavy, and not every command speaks HTTP

    named = response.headers.get("Location")
    if response.status_code not in REDIRECTS or named is None:
        return None, ""
    try:
        to = request.url.join(named)
    except httpx.InvalidURL:
        return None, "go to what is no address"
    place = f":{to.port}" if to.port else ""
    where = f"go to {to.scheme}://{to.host}{place}{to.path}"[:EXCERPT]
    if to.host != request.url.host:
        return None, f"{where}, which is another host"
    if to.scheme != "https" and request.url.scheme == "https":
        return None, f"{where}, which is not encrypted"
    if to.scheme == request.url.scheme and to.port != request.url.port:
        return None, f"{where}, which is another port"
    if request.method != "GET" and response.status_code not in KEEPING:
        return None, where
    kept = {name: value for name, value in request.headers.items() if name != "host"}
    return httpx.Request(request.method, to, headers=kept, content=request.content), where


def _mistrust(url: str, error: ssl.SSLCertVerificationError, certificate: str | None) -> str:
    """Return what is wrong with the certificate of a server, and what to do."""
    why = error.verify_message
    if error.verify_code in OUT_OF_DATE:
        return (
            f"does not count today ({why}), so it was not told the password; renew it there, or set"
            " the clock here"
        )
    place = url.partition("://")[2].partition("/")[0]
    place = place if re.search(r":\d+$", place) else f"{place}:443"
    said = f"is not the one in {certificate}" if certificate else "is not trusted here"
    return (
        f"{said}, so it was not told the password ({why}); where it is the right one, save what"
        f" `openssl s_client -connect {place} </dev/null | openssl x509` prints, and name the file"
        " as `certificate:`"
    )


def _trusting(certificate: str | None) -> ssl.SSLContext:
    """Return what https servers must show; raise HttpFault.

    One certificate that is named is trusted whatever name it bears.
    """
    import ssl  # noqa: PLC0415  only who speaks https pays for it

    if certificate is None:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(certificate)
    except (OSError, ssl.SSLError) as error:
        raise HttpFault(
            "broken", f"the certificate {certificate} cannot be used: {error}"
        ) from error
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
