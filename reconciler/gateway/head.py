"""Head of a request: what is framed and routed in one way only, and what is refused before that.

Whatever a proxy and an engine may read differently is refused (RFC 9112, sections 3, 6 and 11.2),
so that nothing can be smuggled past one of them. The parser is llhttp, strict; this adds what
llhttp lets pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import count
from secrets import randbits
from typing import NamedTuple, TypeAlias
from urllib.parse import parse_qsl, unquote_to_bytes

from reconciler.model.problem import one_of

Field: TypeAlias = tuple[bytes, bytes]

LARGEST_HEAD = 64 * 1024
MOST_FIELDS = 100
LONGEST_TARGET = 8 * 1024
LONGEST_NUMBER = 19
"""Digits of a Content-Length: programs read numbers of more than 64 bits differently."""

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
ABSOLUTE = re.compile(rb"https?://([^/?]*)(.*)")
"""The authority, and path and query, of a target in the form that is sent to proxies."""

TARGET = re.compile(rb"[\x21\x22\x24-\x7e]+")
VALUE = re.compile(rb"[^\x00\r\n]*")
HIDDEN = re.compile(rb"%(?:2f|5c|00)|\\", re.IGNORECASE)
"""What only some programs take for a slash or the end of a path."""

REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{8,64}")
NUMBERS = count(randbits(63))
"""What requests are called that their clients gave no name: no two processes begin with the same.
"""

WEB_SOCKET = b"websocket"
BODILESS = {"GET", "HEAD"}
NOT_OURS = {"CONNECT", "TRACE"}
HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
    b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
}  # fmt: skip
OURS = {b"content-length", b"expect", b"host"}
"""What this proxy says itself on either side."""

PERSONAL = {b"authorization", b"forwarded", b"remote-user", b"x-api-key"}
PERSONAL_PREFIXES = (b"tailscale-", b"x-forwarded-")
"""Who asks, and from where: no engine needs to know that, and its key is not the client's."""

STAYS = HOP_BY_HOP | OURS | PERSONAL


class RequestHead:
    """A request's head as the parser saw it: fields in their order, names as they were written."""

    def __init__(
        self, method: bytes, target: bytes, version: str, fields: tuple[Field, ...]
    ) -> None:
        self.method, self.target, self.version, self.fields = method, target, version, fields
        self._by_name: dict[bytes, list[bytes]] = {}
        for name, value in fields:
            self._by_name.setdefault(name.lower(), []).append(value.strip(b" \t"))

    def values(self, name: bytes) -> list[bytes]:
        """What all fields of a name in lower case say."""
        return self._by_name.get(name, [])

    def value(self, name: bytes) -> bytes:
        """What the first field of a name in lower case says, nothing without one."""
        found = self._by_name.get(name)
        return found[0] if found else b""


class Request(NamedTuple):
    """A head that may be routed.

    `path` has no query and is not decoded; `fields` are those that the engine is given, and `lines`
    the same as they are written.
    """

    method: str
    path: str
    target: bytes
    fields: tuple[Field, ...]
    lines: bytes
    expects: bool
    upgrades: bool = False
    """Whether it asks for a web socket, for which nothing may stand behind its head."""

    def asked(self, name: str) -> str:
        """What the query says by a name, "" where it does not."""
        query = self.target.partition(b"?")[2].decode("latin-1")
        return next((value for key, value in parse_qsl(query) if key == name), "")


class Refusal(NamedTuple):
    """Why a request goes no further, and the status that says so.

    `is_final`: to ask again soon would be in vain, whatever the status says. `again` is in how many
    seconds it may not be, None where that is not known.
    """

    status: int
    reason: str
    is_final: bool = False
    again: int | None = None


def judged(head: RequestHead, hosts: Collection[str] | None) -> Request | Refusal:
    """Judge a head.

    `hosts` are the names, in lower case, that this gateway answers to; None for any.
    """
    for check in CHECKS:
        refusal = check(head)
        if refusal is not None:
            return refusal
    authority = _authority(head)
    if isinstance(authority, Refusal):
        return authority
    if hosts is not None and host_name(authority) not in hosts:
        said = f"found Host: {authority}, expected {one_of(hosts)}"
        lets = f"`names: [{host_name(authority)}]` under `gateway:` in inventory.yaml lets it in"
        return Refusal(421, f"{said}; {lets}")
    return _request(head)


def _request(head: RequestHead) -> Request | Refusal:
    target = _origin(head.target)
    path = target.partition(b"?")[0]
    segments = unquote_to_bytes(path).split(b"/")
    if HIDDEN.search(path) or b".." in segments or path.startswith(b"//"):
        return Refusal(400, f"found the path {path.decode()}, which programs read differently")
    length = body_length(head)
    if length != 0 and head.method.decode() in BODILESS:
        return Refusal(400, f"found {head.method.decode()} with a body, expected none")
    fields = tuple(end_to_end(head.fields))
    return Request(
        method=head.method.decode(),
        path=path.decode(),
        target=target,
        fields=fields,
        lines=lines_of(fields),
        expects=head.value(b"expect").lower() == b"100-continue",
        upgrades=head.value(b"upgrade").lower() == WEB_SOCKET and length == 0,
    )


def _origin(target: bytes) -> bytes:
    """A target as it is sent to servers: a path, and perhaps a query."""
    absolute = ABSOLUTE.fullmatch(target)
    if not absolute:
        return target
    return absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]


def _method(head: RequestHead) -> Refusal | None:
    if not TOKEN.fullmatch(head.method):
        return Refusal(400, "the method is not a token")
    if head.method.decode() in NOT_OURS:
        return Refusal(405, f"{head.method.decode()} is not served here")
    return None


def _version(head: RequestHead) -> Refusal | None:
    if head.version in {"1.0", "1.1"}:
        return None
    return Refusal(505, f"found HTTP/{head.version}, expected HTTP/1.1 or HTTP/1.0")


def _target(head: RequestHead) -> Refusal | None:
    if len(head.target) > LONGEST_TARGET:
        return Refusal(414, f"the target is longer than {LONGEST_TARGET} bytes")
    if not TARGET.fullmatch(head.target):
        return Refusal(400, "the target is not plain ASCII, or has a # in it")
    if head.target.startswith(b"/") or head.target == b"*" or ABSOLUTE.fullmatch(head.target):
        return None
    return Refusal(400, "the target is neither a path nor an absolute URL")


def _fields(head: RequestHead) -> Refusal | None:
    if len(head.fields) > MOST_FIELDS:
        return Refusal(431, f"found {len(head.fields)} fields, expected {MOST_FIELDS} at most")
    for name, value in head.fields:
        if not TOKEN.fullmatch(name):
            return Refusal(400, "the name of a field is not a token")
        if not VALUE.fullmatch(value):
            return Refusal(400, f"the field {name.decode()} has a line end or a NUL in it")
    return None


def _framing(head: RequestHead) -> Refusal | None:
    lengths, codings = head.values(b"content-length"), head.values(b"transfer-encoding")
    if lengths and codings:
        return Refusal(400, "found Content-Length and Transfer-Encoding, expected one of them")
    if lengths and not (len(lengths) == 1 and is_length(lengths[0])):
        return Refusal(400, "Content-Length is not one whole number")
    if codings and (head.version == "1.0" or len(codings) > 1):
        return Refusal(400, "Transfer-Encoding stands twice, or in HTTP/1.0")
    if codings and codings[0].lower() != b"chunked":
        return Refusal(501, "found a transfer coding other than chunked")
    return None


def is_length(value: bytes) -> bool:
    """Whether a Content-Length is one that all programs read alike."""
    return value.isdigit() and len(value) <= LONGEST_NUMBER


CHECKS: tuple[Callable[[RequestHead], Refusal | None], ...] = (
    _version, _method, _target, _fields, _framing,
)  # fmt: skip


def body_length(head: RequestHead) -> int | None:
    """How many bytes the body has: None where it comes in chunks, 0 without a body."""
    if head.values(b"transfer-encoding"):
        return None
    return int(head.value(b"content-length") or b"0")


def _authority(head: RequestHead) -> str | Refusal:
    """The host that is asked for: there is one, and an absolute target names the same."""
    hosts = head.values(b"host")
    if len(hosts) != 1:
        return Refusal(400, f"found {len(hosts)} Host fields, expected one")
    absolute = ABSOLUTE.fullmatch(head.target)
    if absolute and absolute[1].lower() != hosts[0].lower():
        return Refusal(400, "the target names another host than the field Host")
    return hosts[0].decode("latin-1").lower()


def host_name(authority: str) -> str:
    """The host of an authority, without its port: "[::1]:8400" is "[::1]"."""
    name, colon, port = authority.rpartition(":")
    return name if colon and port.isdigit() and name else authority


def end_to_end(fields: tuple[Field, ...]) -> Iterator[Field]:
    """The fields that go through: what is of one hop, and who asks, stays here."""
    listed = {
        word.strip().lower()
        for name, value in fields
        if name.lower() == b"connection"
        for word in value.split(b",")
    }
    dropped = STAYS | listed if listed else STAYS
    for name, value in fields:
        lowered = name.lower()
        if lowered not in dropped and not lowered.startswith(PERSONAL_PREFIXES):
            yield name, value


def lines_of(fields: Iterable[Field]) -> bytes:
    """Fields as they are written, each with the end of its line."""
    return b"".join([b"%b: %b\r\n" % field for field in fields])


def given_id(head: RequestHead) -> bytes:
    """The name that a client gives to its request, b"" where it gives none that may be logged."""
    given = head.value(b"x-request-id")
    return given if REQUEST_ID.fullmatch(given) else b""


def new_id() -> bytes:
    """A name for a request."""
    return b"%016x" % next(NUMBERS)
