"""What the gateway takes, another parser takes as well, and frames in the same way."""

from __future__ import annotations

import re
from typing import NamedTuple

import h11
import httptools
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.gateway.head import Refusal, RequestHead, judged

HOSTS = {"localhost"}
WELL = (
    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
    b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"
)
CHUNKED = (
    b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: localhost\r\n\r\n"
)
PIECES = (
    b"Content-Length: 3\r\n", b"Content-Length: +5\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n", b" ", b"\t", b"\r\n", b"\n", b"\0", b":", b"0", b"x: y\r\n",
    b"chunked", b",", b"\x80", b";ext=1", b"-",
)  # fmt: skip


class Framed(NamedTuple):
    """One whole request."""

    method: bytes
    target: bytes
    body: bytes


class Ours:
    """The gateway's own parser and judgement."""

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.found: list[Framed] = []
        self.is_refused = False

    def read(self, received: bytes) -> list[Framed]:
        try:
            self.parser.feed_data(received)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.is_refused = True
        return self.found

    def on_message_begin(self) -> None:
        self.target, self.body = b"", b""
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_complete(self) -> None:
        version = self.parser.get_http_version()
        head = RequestHead(self.parser.get_method(), self.target, version, tuple(self.fields))
        self.is_refused = self.is_refused or isinstance(judged(head, HOSTS), Refusal)
        if not self.is_refused:
            self.found.append(Framed(head.method, self.target, self.body))


def strict(received: bytes) -> bytes:
    """Take out what a parser may overlook before and in a request line, and h11 does not."""
    # RFC 9112, sections 2.2 and 3: empty lines before it, and more than one space in it.
    line, end, rest = received.lstrip(b"\r\n").partition(b"\n")
    return re.sub(rb" +", b" ", line) + end + rest


def of_h11(received: bytes, count: int) -> list[Framed]:
    """Read so many requests with another parser; it raises where it takes them otherwise."""
    found: list[Framed] = []
    for _ in range(count):
        connection, body = h11.Connection(h11.SERVER), b""
        connection.receive_data(strict(received))
        request = connection.next_event()
        assert isinstance(request, h11.Request)
        while isinstance(event := connection.next_event(), h11.Data):
            body += bytes(event.data)
        assert isinstance(event, h11.EndOfMessage)
        found.append(Framed(request.method, request.target, body))
        received = connection.trailing_data[0]
    return found


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """Draw requests with a few pieces put in, taken out or doubled."""
    raw = draw(st.sampled_from([WELL, CHUNKED]))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(raw)))
        cut = draw(st.integers(0, 3))
        raw = raw[:at] + draw(st.sampled_from(PIECES)) + raw[at + cut :]
    return raw


@settings(deadline=None, max_examples=1000)
@given(changed())
@example(WELL)
@example(CHUNKED)
def test_what_is_taken_is_framed_as_another_parser_frames_it(raw: bytes) -> None:
    found = Ours().read(raw)
    assert of_h11(raw, len(found)) == found


def test_well_formed_requests_are_taken() -> None:
    for raw in (WELL, CHUNKED):
        assert [one.body for one in Ours().read(raw)] == [b"hello", b""]
