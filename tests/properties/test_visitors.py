"""Over one connection each request is judged as if it came alone, whatever came before it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import Unreachable
from reconciler.gateway.doorkeeper import KEYS_SECONDS, Doorkeeper, Entry
from reconciler.gateway.guard import Doorway
from reconciler.gateway.head import RequestHead
from reconciler.gateway.judged import AdmittedRequest, Judged
from reconciler.gateway.seats import Seats
from reconciler.gateway.visitor import Visitor
from reconciler.model.access_key import AccessKey, KeyRing, hashed, written
from reconciler.model.traffic import Routes

SECRET = "s" * 43
PAGE = "https://chat.example"
EXPIRES = 50.0
NAME = b"a-name-of-mine"


def ring(**changed: object) -> KeyRing:
    key = AccessKey(id="0" * 8, name="k", sha256=hashed(SECRET), scopes=("infer",), expires=EXPIRES)
    return KeyRing(keys=(key.model_copy(update=changed),))


RINGS = (None, ring(), ring(models=("b",)), ring(scopes=("read",)), KeyRing())
ROUTES = (
    Routes(),
    Routes(names=("box.lan",), largest=1024 * 1024),
    Routes(names=("box.lan",), origins=(PAGE,)),
)
TARGETS = (b"/v1/chat/completions", b"/v1/models", b"/props?model=a", b"/v1/models/../x")
FIELDS = (
    (b"Host", b"localhost:8400"), (b"Host", b"box.lan"), (b"Content-Type", b"application/json"),
    (b"Content-Type", b"text/plain"), (b"Content-Length", b"12"), (b"content-length", b"0"),
    (b"Content-Length", b"2000000"), (b"Content-Length", b"+1"), (b"Transfer-Encoding", b"chunked"),
    (b"Authorization", f"Bearer {written('0' * 8, SECRET)}".encode()), (b"X-Request-ID", NAME),
    (b"Origin", PAGE.encode()), (b"Expect", b"100-continue"), (b"X-Forwarded-For", b"10.0.0.1"),
)  # fmt: skip
USUAL = ((b"Host", b"localhost:8400"), (b"Content-Type", b"application/json"))

fields = st.one_of(
    st.lists(st.sampled_from(FIELDS), max_size=6).map(tuple),
    st.sampled_from(FIELDS).map(lambda field: (*USUAL, field)),
    st.sampled_from(FIELDS).map(lambda field: (field, *USUAL)),
)
heads = st.builds(
    RequestHead,
    st.sampled_from([b"POST", b"GET"]),
    st.sampled_from(TARGETS),
    st.just("1.1"),
    fields,
)
asked = heads | st.just(RequestHead(b"POST", TARGETS[0], "1.1", (*USUAL, FIELDS[4])))
moments = st.lists(
    st.tuples(
        # None says what the last one said, but for its length.
        st.none() | asked,
        st.sampled_from([0, 12, 2_000_000]),
        st.integers(0, len(RINGS)),
        st.sampled_from(ROUTES),
        st.sampled_from([1.0, 1.0, 60.0]),
    ),
    max_size=10,
)


def resized(head: RequestHead, length: int) -> RequestHead:
    """The same head, but for its length, where it has one."""
    fields = [
        (name, b"%d" % length if name.lower() == b"content-length" else value)
        for name, value in head.fields
    ]
    return RequestHead(head.method, head.target, head.version, tuple(fields))


def comparable(judged: Judged) -> Judged:
    """The same, but for a name of ours, which no two requests share."""
    return judged if judged.name == NAME else judged._replace(name=b"")


@given(moments=moments)
def test_what_came_before_makes_no_difference(
    moments: list[tuple[RequestHead | None, int, int, Routes, float]],
) -> None:
    boot, wall, number = [0.0], [0.0], [0]
    seats, last = Seats(lambda: boot[0]), None

    def rings() -> KeyRing | None:
        if number[0] == len(RINGS):
            said = "the keys cannot be read"
            raise Unreachable(said)
        return RINGS[number[0]]

    entry = Entry(Doorway(), "127.0.0.1", "127.0.0.1")
    clocks = (lambda: boot[0]), (lambda: wall[0])
    kept = Visitor(Doorkeeper(seats, rings, clocks), entry)
    for head, length, number[0], routes, wall[0] in moments:
        boot[0] += 2 * KEYS_SECONDS
        seats.route(routes)
        alone = Doorkeeper(seats, rings, clocks)
        if head is not None:
            last = head
            assert comparable(kept.judge(head)) == comparable(alone.judge(head, entry))
        elif last is not None and (found := kept.again(length)) is not None:
            assert comparable(found) == comparable(alone.judge(resized(last, length), entry))


def test_a_request_that_says_what_the_last_one_said_is_not_judged_once_more() -> None:
    seats = Seats(lambda: 0.0)
    keeper = Doorkeeper(seats, lambda: None, (lambda: 0.0, lambda: 0.0))
    visitor = Visitor(keeper, Entry(Doorway(), "127.0.0.1", "127.0.0.1"))
    first = visitor.judge(
        RequestHead(b"POST", TARGETS[0], "1.1", (*USUAL, (b"Content-Length", b"12")))
    )
    second = visitor.again(13)
    assert isinstance(first.found, AdmittedRequest)
    assert second is not None
    assert second.found is first.found
    assert (first.length, second.length) == (12, 13)
    assert first.name != second.name
    assert visitor.again(0) is None
