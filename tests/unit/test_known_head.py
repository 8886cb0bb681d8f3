"""A head that came before is told by its bytes, and by nothing less."""

from __future__ import annotations

import pytest

from reconciler.gateway.known_head import NOTHING_KNOWN, known_head

LINE = b"POST / HTTP/1.1\r\n"
HEAD = LINE + b"Host: a\r\ncontent-length:  12 \r\nX: 1\r\n\r\n"
BODY = b"hello, world"


def test_the_same_head_is_found_whatever_its_length() -> None:
    known = known_head(HEAD + BODY, 3)
    assert known.found(HEAD + BODY) == (12, b"12", len(HEAD))
    longer = HEAD.replace(b"12", b"1024")
    assert known.found(longer) == (1024, b"1024", len(longer))


def test_a_head_without_a_length_has_no_body() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert known_head(head, 1).found(head + head) == (0, b"", len(head))


@pytest.mark.parametrize(
    "other",
    [
        HEAD.replace(b"Host: a", b"Host: b"), HEAD.replace(b"X: 1", b"X: 2"), HEAD[1:], HEAD[:-1],
        HEAD.replace(b"12", b""), HEAD.replace(b"12", b"+1"), HEAD.replace(b"12", b"1 2"),
        HEAD.replace(b"12", b"1" * 20), HEAD.replace(b"12", b"12\r\nX: 1\r\n\r\n"), b"",
        b"\r\n" + HEAD,
    ],
)  # fmt: skip
def test_any_other_head_is_not(other: bytes) -> None:
    assert known_head(HEAD, 3).found(other) is None


@pytest.mark.parametrize(
    ("received", "fields"),
    [
        (b"\r\n" + HEAD, 3), (b"\r\n\r\n" + HEAD, 3), (HEAD, 2), (HEAD[:-2], 3), (b"", 0),
        (HEAD.replace(b"X: 1\r\n", b"X: 1\n"), 3), (LINE + b"Host: a\n\n" + b"b\r\n\r\n", 1),
        (HEAD.replace(b"X: 1", b"Content-Length: 12"), 3), (HEAD.replace(b"12", b"-1"), 3),
        (LINE + b"X: 1\r\n\r\n", 2),
    ],
)  # fmt: skip
def test_a_head_whose_end_is_not_sure_is_not_kept(received: bytes, fields: int) -> None:
    assert known_head(received, fields) == NOTHING_KNOWN
    assert NOTHING_KNOWN.found(received) is None
