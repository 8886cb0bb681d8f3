"""Reading: the requests of one connection, out of the bytes that come, each judged at its head."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import httptools

from reconciler.gateway.head import LARGEST_HEAD, Refusal, RequestHead, new_id
from reconciler.gateway.judged import AdmittedRequest, Judged
from reconciler.gateway.known_head import NOTHING_KNOWN, known_head

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.gateway.head import Field

CHUNK_FRAME = 32
"""How much may stand around each chunk of a body."""

READ_VERSIONS = {"0.0", "1.0", "1.1"}
"""As the parser names those that it reads, the first before it has seen one."""

RESUMED = b"POST / HTTP/1.1\r\n%b\r\n\r\n"
RESUMED_LAST = b"POST / HTTP/1.1\r\nConnection: close\r\n%b\r\n\r\n"


class WholeRequest(NamedTuple):
    """A request that was read, and whether another may follow it."""

    judged: Judged
    body: bytes = b""
    keeps: bool = True
    version: str = "1.1"


class Judge(Protocol):
    """Who judges the heads of a connection."""

    def judge(self, head: RequestHead) -> Judged:
        """Judge a head."""
        ...

    def again(self, length: int) -> Judged | None:
        """Judge one that says what the last one said, but for its length; None: read it."""
        ...


class RequestReader:
    """Reads requests; those that are whole, or refused, wait in `whole`."""

    def __init__(self, judge: Judge, welcome: Callable[[], None]) -> None:
        """Take what judges a head, and what tells a client that it may send the body."""
        self._judge, self._welcome = judge, welcome
        self._known, self._fresh, self._owed = NOTHING_KNOWN, b"", 0
        self._parser: httptools.HttpRequestParser | None = None
        self.whole: list[WholeRequest] = []
        self.begun = self._came = 0
        self.is_reading = self.is_deaf = False
        """Whether a request has begun and is not whole, and whether no more is read."""
        self.left = b""
        """What came behind a request for another protocol."""
        self._is_resumed, self._resumed = False, RESUMED
        self._begin()

    def _begin(self) -> None:
        self._target, self._version = b"", "1.1"
        self._fields: list[Field] = []
        self._raw = self._chunks = 0
        self._body = bytearray()
        self._judged: Judged | None = None

    @property
    def held(self) -> int:
        """How many bytes of a body have come."""
        return len(self._body)

    @property
    def weight(self) -> int:
        """How many bytes of bodies are held here."""
        return len(self._body) + (sum(len(one.body) for one in self.whole) if self.whole else 0)

    def feed(self, received: bytes) -> None:
        """Read what came."""
        if self.is_deaf:
            return
        self._came = len(received)
        self._raw += self._came
        # What begins here may be known by its bytes later on.
        self._fresh = b"" if self.is_reading else received
        try:
            rest = received
            while rest:
                rest = self._read(rest)
        except httptools.HttpParserError as error:
            self.fail(self._unread(error))
        # It takes a kilobyte, and a thousand connections may wait for what they asked.
        if not self.is_reading:
            self._parser = None
        # The body of what was refused is not waited for: what follows cannot be told from it.
        # And the parser keeps a field until it is whole, and tells of no piece of it.
        if self.is_reading and (self._is_refused or self._is_all_frame):
            self.fail(HEAD_TOO_LARGE)

    def close(self) -> None:
        """Read nothing any more, and let go of what points back here."""
        # A thousand clients that left would wait for the collector.
        self.is_deaf, self._parser, self._welcome = True, None, _ignore

    def fail(self, refusal: Refusal) -> None:
        """Refuse what is being read, and read nothing more."""
        self.is_deaf, self.is_reading = True, False
        judged = Judged(refusal, new_id(), closes=True)
        # What was wrong first is told, however much came at once.
        if self._judged is not None and self._is_refused:
            judged = self._judged
        self.whole.append(WholeRequest(judged, keeps=False))

    @property
    def _is_refused(self) -> bool:
        return self._judged is not None and isinstance(self._judged.found, Refusal)

    @property
    def _is_all_frame(self) -> bool:
        return self._raw > self.held + 2 * LARGEST_HEAD + self._chunks * CHUNK_FRAME

    def _unread(self, error: Exception) -> Refusal:
        version = self._parser.get_http_version() if self._parser is not None else "0.0"
        if version in READ_VERSIONS:
            return Refusal(400, f"this is not HTTP: {error}")
        return Refusal(505, f"found HTTP/{version}, expected HTTP/1.1 or HTTP/1.0")

    def _read(self, received: bytes) -> bytes:
        """Read what came; give what was not looked at."""
        if self._owed:
            return self._read_body(received)
        known = None if self.is_reading else self._known.found(received)
        if known is None:
            return self._parse(received)
        length, _, size = known
        judged = self._judge.again(length)
        if judged is None:
            return self._parse(received)
        self._fresh, end = b"", size + length
        if end <= len(received) and length <= judged.largest:
            # All of it is here: nothing of it has to be kept for later.
            self.begun += 1
            self.whole.append(WholeRequest(judged, received[size:end]))
            return received[end:]
        self.on_message_begin()
        self._owed = length
        self._take(judged)
        return self._read_body(received[size:])

    def _read_body(self, received: bytes) -> bytes:
        """Read what came behind a head that was known."""
        piece, rest = received[: self._owed], received[self._owed :]
        self._owed -= len(piece)
        self.on_body(piece)
        if not self._owed:
            self._complete(keeps=True)
        return rest

    def _parse(self, received: bytes) -> bytes:
        """Parse what came; give what the parser did not look at."""
        if self._parser is None:
            self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(received)
        except httptools.HttpParserUpgrade as found:
            rest = received[found.args[0] :]
            if self._judged is not None and isinstance(self._judged.found, AdmittedRequest):
                if self._judged.found.may_upgrade:
                    self._leave(self._judged, rest)
                    return b""
                self._read_on(self._judged.length)
                return rest
        return b""

    def _leave(self, judged: Judged, rest: bytes) -> None:
        """Take a request behind which nothing more is HTTP."""
        self.whole.append(WholeRequest(judged, keeps=False))
        self.is_deaf, self.is_reading, self.left = True, False, rest

    def _read_on(self, length: int | None) -> None:
        """Read the body of a request that asked for another protocol, which is not offered here."""
        # The parser takes all behind its head for that protocol, though Java's client sends a body.
        self._parser = httptools.HttpRequestParser(self)
        self._is_resumed = True
        framed = b"Transfer-Encoding: chunked"
        if length is not None:
            framed = b"Content-Length: %d" % length
        self._parser.feed_data(self._resumed % framed)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Begin a request."""
        if not self._is_resumed:
            self._begin()
            self.begun += 1
            self.is_reading = True

    def on_url(self, url: bytes) -> None:
        """Keep a piece of the target."""
        if not self._is_resumed:
            self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field."""
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Judge the head before anything of the body is taken."""
        if self._is_resumed or self._parser is None:
            self._is_resumed = False
            return
        method, self._version = self._parser.get_method(), self._parser.get_http_version()
        head = RequestHead(method, self._target, self._version, tuple(self._fields))
        # A message that began in what came just now has no raw bytes yet.
        if self._raw + self._came > LARGEST_HEAD and _size(head) > LARGEST_HEAD:
            self._judged = Judged(HEAD_TOO_LARGE, new_id(), closes=True)
            return
        fresh, self._fresh = self._fresh, b""
        self._known = known_head(fresh, len(head.fields))
        self._take(self._judge.judge(head))

    def _take(self, judged: Judged) -> None:
        self._judged = judged
        if isinstance(judged.found, Refusal):
            return
        if judged.length is not None and judged.length > judged.largest:
            self._judged = too_large(judged)
        elif judged.found.request.expects and not self.whole:
            self._welcome()

    def on_chunk_header(self) -> None:
        """Count a chunk."""
        self._chunks += 1

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of the body."""
        if self._judged is None or self._is_refused:
            return
        self._body += piece
        if self.held > self._judged.largest:
            self._judged = too_large(self._judged)
            self._body.clear()

    def on_message_complete(self) -> None:
        """Take a whole request; it waits for those before it."""
        if self._parser is None:
            return
        # Only here it is right: asked later, the parser always says no.
        keeps = self._parser.should_keep_alive()
        if self._parser.should_upgrade() and not self._is_refused:
            self._resumed, self._known = RESUMED if keeps else RESUMED_LAST, NOTHING_KNOWN
            return
        # Of HTTP/1.0 programs read differently what keeps a connection.
        keeps = keeps and self._version == "1.1"
        if not keeps or self._judged is None or self._judged.length is None:
            self._known = NOTHING_KNOWN
        self._complete(keeps=keeps)

    def _complete(self, *, keeps: bool) -> None:
        self.is_reading = False
        if self._judged is not None:
            whole = WholeRequest(self._judged, bytes(self._body), keeps, self._version)
            self.whole.append(whole)
        self._begin()


def _ignore() -> None:
    """Tell a client that has gone nothing."""


HEAD_TOO_LARGE = Refusal(431, f"the head is larger than {LARGEST_HEAD} bytes")


def _size(head: RequestHead) -> int:
    return len(head.target) + sum(len(name) + len(value) for name, value in head.fields)


def too_large(judged: Judged) -> Judged:
    """The refusal of a body with more bytes than are taken."""
    said = f"the body is larger than {judged.largest / 1024 / 1024:g} MiB"
    more = "`limits` under `gateway` of inventory.yaml may allow more"
    return judged._replace(found=Refusal(413, f"{said}; {more}"), closes=True)
