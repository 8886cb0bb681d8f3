"""Keys: how one is read out of a request, and what it allows."""

from __future__ import annotations

import base64
from collections.abc import Collection

import pytest

from reconciler.gateway.allowance import Allotment, Allowance
from reconciler.gateway.guard import Doorway, Guarding, admitted, cross_origin
from reconciler.gateway.head import Field, Refusal, RequestHead
from reconciler.gateway.keys import Requester, known, offered, requester
from reconciler.gateway.routes import TABLE, Entrance
from reconciler.model.access_key import AccessKey, KeyRing, hashed, written

SECRET = "s" * 43
KEY = written("0123abcd", SECRET)
MADE = AccessKey(id="0123abcd", name="laptop", sha256=hashed(SECRET), scopes=("infer",), expires=9)
RING = known(KeyRing(keys=(MADE,)))
BASIC = base64.b64encode(f"me:{KEY}".encode())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"Authorization", b"Bearer " + KEY.encode()),
        (b"authorization", b"bearer  " + KEY.encode()),
        (b"X-Api-Key", KEY.encode()),
        (b"Authorization", b"Basic " + BASIC),
    ],
)
def test_a_key_is_read_wherever_clients_put_it(name: bytes, value: bytes) -> None:
    found = requester(RING, offered([(b"X", b"y"), (name, value)]), 0.0)
    assert isinstance(found, Requester)
    assert (found.name, found.in_flight, found.waiting) == ("laptop", 16, 64)
    assert found.may_use("any")


def test_the_first_key_that_is_known_counts() -> None:
    fields = [(b"Authorization", b"Bearer none"), (b"x-api-key", KEY.encode())]
    assert isinstance(requester(RING, offered(fields), 0.0), Requester)


@pytest.mark.parametrize(
    "value",
    [
        b"Bearer " + KEY.encode()[:-1],
        b"Bearer " + KEY.encode() + b"s",
        b"Bearer " + KEY.encode().replace(b"rk_", b"xx_"),
        b"Bearer " + KEY.encode().replace(b"d_", b"d-"),
        b"Bearer " + KEY.encode().replace(b"0123abcd", b"00000000"),
        b"Bearer \xff",
        b"Basic no base64",
        b"Basic " + base64.b64encode(b"no colon"),
        b"Digest x",
        b"",
    ],
)
def test_anything_else_is_no_key(value: bytes) -> None:
    found = requester(RING, offered([(b"Authorization", value)]), 0.0)
    assert isinstance(found, Refusal)
    assert found.status == 401
    assert SECRET not in found.reason


def test_a_key_ends() -> None:
    found = requester(RING, [KEY], 9.0)
    assert isinstance(found, Refusal)
    assert found.reason.startswith("the key laptop has expired; `reconciler key add")


def test_of_each_key_so_many_requests_are_under_way_and_wait() -> None:
    who, allowance = Requester("k", frozenset(), in_flight=1, waiting=1), Allowance()
    first, second, third = (Allotment(who, allowance) for _ in range(3))
    assert first.take(waits=False) is None
    assert second.take(waits=True) is None
    for waits, said in ((False, "are under way"), (True, "wait")):
        refusal = third.take(waits=waits)
        assert refusal is not None
        assert (refusal.status, said in refusal.reason) == (429, True)
    assert second.take(waits=False) is None, "what has waited goes"
    assert (allowance.in_flight, allowance.waiting) == (2, 0)
    for share in (first, second, first):
        share.end()
    assert (allowance.in_flight, allowance.waiting) == (0, 0)
    unlimited = Allotment(Requester("", frozenset()), allowance)
    assert unlimited.take(waits=True) is None


def judged(
    *fields: tuple[bytes, bytes], entrance: Entrance = TABLE[0], origins: tuple[str, ...] = ()
) -> Requester | Refusal:
    head = RequestHead(b"POST", b"/", "1.1", ((b"Host", b"localhost:8400"), *fields))
    by = Guarding(None, origins, 0.0)
    return admitted(head, entrance, Doorway(), by, is_local_name=True)


LENGTH = (b"Content-Length", b"2")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([LENGTH, (b"Content-Type", b"application/json; charset=utf-8")], None),
        ([LENGTH, (b"Content-Type", b"application/vnd.x+json")], None),
        ([(b"Content-Length", b"0")], None),
        ([LENGTH], 415),
        ([LENGTH, (b"Content-Type", b"text/plain")], 415),
        ([(b"Transfer-Encoding", b"chunked")], 415),
        ([LENGTH, (b"Origin", b"http://localhost:8400"), (b"Content-Type", b"text/plain")], 415),
        ([(b"Origin", b"http://localhost:8400")], None),
        ([(b"Origin", b"https://localhost:8401")], 403),
        ([(b"X-Forwarded-For", b"192.168.1.9")], 401),
    ],
)
def test_what_a_page_elsewhere_could_make_a_browser_send_is_refused(
    fields: list[tuple[bytes, bytes]], status: int | None
) -> None:
    found = judged(*fields)
    assert (found.status if isinstance(found, Refusal) else None) == status


def test_a_route_that_takes_anything_takes_a_form() -> None:
    form = (LENGTH, (b"Content-Type", b"multipart/form-data; boundary=x"))
    assert isinstance(judged(*form, entrance=TABLE[0]._replace(body="any")), Requester)


def _told(*fields: Field, origins: Collection[str] = ("https://chat.home",)) -> dict[bytes, bytes]:
    return dict(cross_origin(RequestHead(b"POST", b"/", "1.1", fields), origins))


def test_a_page_that_may_ask_may_read_the_answer() -> None:
    origin = (b"Origin", b"https://Chat.home")
    asked = (b"Access-Control-Request-Method", b"POST")
    assert isinstance(judged(origin, origins=("https://chat.home",)), Requester)
    assert _told(origin, origins=()) == {}
    assert _told(origin) == {
        b"Access-Control-Allow-Origin": b"https://Chat.home",
        b"Vary": b"Origin",
    }
    told = _told(origin, asked)
    assert told[b"Access-Control-Allow-Headers"] == b"Authorization, Content-Type"
    named = (b"Access-Control-Request-Headers", b"x-stainless-os")
    told = _told(origin, asked, named)
    assert told[b"Access-Control-Allow-Headers"] == b"x-stainless-os"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ([], "no key was sent, and this request needs one; `reconciler key add"),
        ([(b"X-Api-Key", b"sk-none")], "the key that was sent is none of `reconciler key list`"),
    ],
)
def test_who_sent_no_key_is_told_other_than_who_sent_a_wrong_one(
    fields: list[tuple[bytes, bytes]], said: str
) -> None:
    refused = requester(RING, offered(fields), 0.0)
    assert isinstance(refused, Refusal)
    assert refused.reason.startswith(said)
