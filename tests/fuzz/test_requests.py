"""What clients send: the gateway takes nothing that h11 frames otherwise, in whatever pieces."""

from __future__ import annotations

from random import Random

import pytest

from tests.fuzz.mutation import mutated, pieces
from tests.fuzz.requests import Framed, by_h11, read
from tests.fuzz.sizes import EACH, SEEDS

HOST = b"Host: localhost\r\n"
CHAT = b'{"model": "a"}'
LENGTH = b"Content-Length: 14\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
POST = b"POST /v1/completions HTTP/1.1\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
LAST = b"0\r\n\r\n"
CORPUS = [
    b"GET /v1/models HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /v1/models?a=%2f&b HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
    b"HEAD / HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET http://localhost/v1/models?x HTTP/1.1\r\n" + HOST + b"\r\n",
    POST + HOST + LENGTH + b"\r\n" + CHAT,
    POST + HOST + b"Accept: */*\r\nX-Empty:\r\nX-A: 1\r\nX-A:  2 \r\n" + LENGTH + b"\r\n" + CHAT,
    POST + HOST + LENGTH + b"Expect: 100-continue\r\n\r\n" + CHAT,
    POST + HOST + CHUNKED + b"\r\ne\r\n" + CHAT + b"\r\n0\r\n\r\n",
    POST + HOST + CHUNKED + b'\r\n7;a=b\r\n{"model\r\n07\r\n": "a"}\r\n0\r\n\r\n',
    POST + HOST + CHUNKED + b"Trailer: X\r\n\r\nE\r\n" + CHAT + b"\r\n0\r\nX: 1\r\n\r\n",
    POST + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + LENGTH + b"\r\n" + CHAT,
    POST + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + CHUNKED + b"\r\n1\r\n{\r\n" + LAST,
    POST + HOST + LENGTH + CHUNKED + b"\r\n0\r\n\r\nGET /x HTTP/1.1\r\n" + HOST + b"\r\n",
    POST + HOST + CHUNKED + LENGTH + b"\r\n0\r\n\r\nGET /x HTTP/1.1\r\n" + HOST + b"\r\n",
    POST + HOST + b"Content-Length: 0\r\n\r\n" + POST + HOST + LENGTH + b"\r\n" + CHAT,
    b"PUT /v1/x HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    POST + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    2 * (b"\r\n" + POST + HOST + LENGTH + b"\r\n" + CHAT),
    b"GET /upstream/a/x HTTP/1.1\r\n" + HOST + UPGRADE + b"\r\nabc",
    b"CONNECT localhost:1 HTTP/1.1\r\n" + HOST + b"\r\nabc",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]  # fmt: skip
WORDS = [
    *(HOST, LENGTH, CHUNKED, CHAT, b"Content-Length: 5\r\n", b"Content-Length: 0\r\n"),
    *(b"Transfer-Encoding: chunked, chunked\r\n", b"Transfer-Encoding: identity\r\n"),
    *(b"transfer-encoding:\tchunked\r\n", b"Transfer-Encoding : chunked\r\n", b" folded\r\n"),
    *(b"Connection: close\r\n", b"Connection: upgrade\r\n", b"Upgrade: websocket\r\n"),
    *(b"chunked", b"\r\n\r\n", b"0\r\n\r\n", b"\n", b"\r", b"ffffffffffffffff1\r\n", b"-1", b"0x"),
    *(b"HTTP/1.0", b"HTTP/1.1", b"HTTP/9.9", b"GET / HTTP/1.1\r\n", b"99999999999999999999"),
    *(b"//", b"/../", b"%00", b"http://", b"@", b"[::1", b";", b';a="b\r\n"'),
    b"Expect: 100-continue\r\n",
]  # fmt: skip


def agree(taken: list[Framed], other: list[Framed]) -> bool:
    """Whether what was taken is what h11 reads, or the beginning of it."""
    return taken == other[: len(taken)]


@pytest.mark.parametrize("raw", CORPUS)
def test_every_split_of_the_corpus_is_read_as_the_whole(raw: bytes) -> None:
    whole = read([raw])
    assert agree(whole.taken, by_h11(raw))
    for at in range(1, len(raw)):
        assert read([raw[:at], raw[at:]]) == whole, at
    assert read([raw[at : at + 1] for at in range(len(raw))]) == whole


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_is_taken_that_h11_would_frame_otherwise(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - to be repeated
    taken = refused = 0
    for number in range(EACH):
        raw = mutated(chance, CORPUS, WORDS)
        whole, split, other = read([raw]), read(pieces(chance, raw)), by_h11(raw)
        assert whole == split, (seed, number, raw)
        assert agree(whole.taken, other), (seed, number, raw, whole, other)
        # What is neither taken nor refused waits for more, and so does h11.
        assert whole.is_closed or len(whole.taken) >= len(other), (seed, number, raw, whole, other)
        taken, refused = taken + len(whole.taken), refused + bool(whole.status)
    assert min(taken, refused) > EACH / 10, "the mutations are all of one kind"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_request_is_read_alike_whatever_came_before_it(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - to be repeated
    kept = [raw for raw in CORPUS if read([raw]).taken and not read([raw]).is_closed]
    taken = refused = 0
    for number in range(EACH):
        first = chance.choice(kept)
        raw = mutated(chance, [first], WORDS)
        found, split = read([first, raw]), read([first, *pieces(chance, raw)])
        assert found == split == read([first, raw], forgets=True), (seed, number, first, raw)
        assert agree(found.taken, by_h11(first + raw)), (seed, number, first, raw)
        taken, refused = taken + len(found.taken) - 1, refused + bool(found.status)
    assert min(taken, refused) > EACH / 10, "the mutations are all of one kind"
