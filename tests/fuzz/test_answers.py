"""What engines send: the gateway passes on nothing as whole that h11 would read otherwise."""

from __future__ import annotations

from random import Random

import pytest

from tests.fuzz.answers import LOST, MORE, REUSABLE, Answer, by_h11, read
from tests.fuzz.mutation import mutated, pieces
from tests.fuzz.sizes import EACH, SEEDS

OK = b"HTTP/1.1 200 OK\r\n"
JSON = b"Content-Type: application/json\r\n"
EVENTS = b"Content-Type: text/event-stream\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
LAST = b"0\r\nT: 1\r\n\r\n"
CORPUS = [
    OK + JSON + b"Content-Length: 2\r\n\r\n{}",
    OK + JSON + b"X:\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    OK + EVENTS + CHUNKED + b"\r\n9\r\ndata: 1\n\n\r\n0\r\n\r\n",
    OK + EVENTS + CHUNKED + b"\r\n9;a=b\r\ndata: 1\n\n\r\n00e\r\ndata: [DONE]\n\n\r\n" + LAST,
    OK + JSON + b"\r\n{}",
    b"HTTP/1.0 200 OK\r\n" + JSON + b"\r\n{}",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc",
    OK + b"Content-Length: 2\r\n" + CHUNKED + b"\r\n0\r\n\r\n",
    OK + CHUNKED + b"Content-Length: 2\r\n\r\n0\r\n\r\n",
    OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    OK + b"Content-Length: 2\r\n\r\n{}" + OK + b"Content-Length: 2\r\n\r\n[]",
]  # fmt: skip
WORDS = [
    *(OK, JSON, CHUNKED, b"Content-Length: 2\r\n", b"Content-Length: 5\r\n", b"chunked", b"\r\n"),
    *(b"Transfer-Encoding: identity\r\n", b"Transfer-Encoding : chunked\r\n"),
    b"Connection: close\r\n",
    *(b"0\r\n\r\n", b"\n", b"\r", b"ffffffffffffffff1\r\n", b"-1", b"0x", b"HTTP/1.0", b" x\r\n"),
]  # fmt: skip


def agree(found: Answer, other: Answer | None) -> bool:
    """Whether an answer that is passed on as whole is what h11 reads."""
    return found.end == LOST or (other is not None and found[:3] == other[:3])


def alike(found: Answer, other: Answer) -> bool:
    """Whether two are one, but that the connection may be used again after the other alone.

    An empty line behind an answer means nothing, and is not told from what would.
    """
    return found == other or found == other._replace(end="whole")


@pytest.mark.parametrize("bodiless", [False, True])
@pytest.mark.parametrize("raw", CORPUS)
def test_every_split_of_an_answer_is_read_as_the_whole(raw: bytes, bodiless: bool) -> None:
    whole = read([raw], bodiless=bodiless)
    assert agree(whole, by_h11(raw, bodiless=bodiless))
    for at in range(1, len(raw)):
        split = read([raw[:at], raw[at:]], bodiless=bodiless)
        # Whether more was to come is only known where it came at once.
        assert split[:3] == whole[:3], at
        assert (split.end == LOST) == (whole.end == LOST)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_answer_is_passed_on_as_whole_that_h11_would_read_otherwise(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - to be repeated
    whole = lost = 0
    for number in range(EACH):
        raw, bodiless = mutated(chance, CORPUS, WORDS), chance.random() < 0.1
        found, split = read([raw], bodiless=bodiless), read(pieces(chance, raw), bodiless=bodiless)
        assert found.end != MORE, (seed, number, raw)
        assert (split.end == LOST) == (found.end == LOST), (seed, number, raw, found, split)
        assert found.end == LOST or split[:3] == found[:3], (seed, number, raw, found, split)
        assert agree(found, by_h11(raw, bodiless=bodiless)), (seed, number, raw, found)
        whole, lost = whole + (found.end != LOST), lost + (found.end == LOST)
    assert min(whole, lost) > EACH / 10, "the mutations are all of one kind"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_an_answer_is_read_alike_whatever_came_before_it(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - to be repeated
    kept = [raw for raw in CORPUS if read([raw]).end == REUSABLE]
    whole = lost = 0
    for number in range(EACH):
        first, bodiless = chance.choice(kept), chance.random() < 0.1
        raw = mutated(chance, [first], WORDS)
        found = read([raw], bodiless=bodiless, first=first)
        assert alike(found, read([raw], bodiless=bodiless)), (seed, number, first, raw)
        split = pieces(chance, raw)
        after = read(split, bodiless=bodiless, first=first)
        assert alike(after, read(split, bodiless=bodiless)), (seed, number, first, split)
        whole, lost = whole + (found.end != LOST), lost + (found.end == LOST)
    assert min(whole, lost) > EACH / 10, "the mutations are all of one kind"
