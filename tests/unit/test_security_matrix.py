"""Who is let in where: every route, by every key, Host, page and door, from the table of routes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from itertools import count, product
from typing import NamedTuple

from reconciler.gateway.doorkeeper import Doorkeeper, Entry
from reconciler.gateway.guard import Doorway
from reconciler.gateway.head import Refusal, RequestHead
from reconciler.gateway.judged import Judged
from reconciler.gateway.keys import GRANTS
from reconciler.gateway.routes import PREFLIGHT, TABLE, Entrance
from reconciler.gateway.seats import Seats
from reconciler.model.access_key import AccessKey, KeyRing, hashed, written
from reconciler.model.key_scope import KeyScope
from reconciler.model.traffic import Routes

NOW = 1000.0
SECRET = "s" * 43
OWN, ROOT, STRANGER = 1000, 0, 1001
ADDRESS, NAME, PAGE = "192.168.1.5", "llm.home", "https://chat.home"

LOOPBACK = Entry(Doorway(is_local=True), "127.0.0.1", "127.0.0.1")
LAN = Entry(Doorway(is_local=False), "192.168.1.9", ADDRESS)


def a_key(id_: str, *scopes: KeyScope, expires: float | None = None) -> AccessKey:
    return AccessKey(
        id=id_ * 8, name=f"key-{id_}", sha256=hashed(SECRET), scopes=scopes, expires=expires
    )


KEYS = {
    "infer": a_key("1", "infer"),
    "read": a_key("2", "read"),
    "operate": a_key("3", "operate"),
    "admin": a_key("4", "admin"),
    "expired": a_key("5", "admin", expires=NOW - 1),
}
RING = KeyRing(keys=tuple(KEYS.values()))
SENT = {
    **{name: written(key.id, SECRET) for name, key in KEYS.items()},
    "none": "",
    "wrong": written("1" * 8, "t" * 43),
    "unknown": written("9" * 8, SECRET),
    "no key at all": "none",
}
HOSTS: dict[str, tuple[bytes, ...]] = {
    "local": (b"127.0.0.1:8400",),
    "named": (NAME.encode(),),
    "its address": (f"{ADDRESS}:8400".encode(),),
    "evil": (b"evil.example",),
    "twice": (b"127.0.0.1", b"127.0.0.1"),
    "another in the target": (b"127.0.0.1:8400",),
}
PAGES: dict[str, tuple[tuple[bytes, bytes], ...]] = {
    "none": (),
    "itself": ((b"Sec-Fetch-Site", b"same-origin"),),
    "allowed": ((b"Origin", PAGE.encode()), (b"Sec-Fetch-Site", b"cross-site")),
    "cross": ((b"Origin", b"https://evil.example"),),
    "opaque": ((b"Origin", b"null"),),
    "of the same site": ((b"Sec-Fetch-Site", b"same-site"),),
}
DOORS: dict[str, Entry] = {
    "loopback": LOOPBACK,
    "lan": LAN,
    "own": Entry(Doorway(uid=OWN, own=OWN), "", ""),
    "root": Entry(Doorway(uid=ROOT, own=OWN), "", ""),
    "stranger": Entry(Doorway(uid=STRANGER, own=OWN), "", ""),
}
RINGS: dict[str, KeyRing | None] = {"keys": RING, "no keys": None}
CONTENTS = {"json": b"application/json", "form": b"multipart/form-data", "any": b"text/plain"}
METHODS = ("GET", "POST", "PUT", "DELETE")


class Case(NamedTuple):
    entrance: Entrance
    method: str
    ring: str
    key: str
    host: str
    page: str
    door: str

    @property
    def head(self) -> RequestHead:
        # Pages ask beforehand where something is served.
        entrance = TABLE[0] if self.entrance is PREFLIGHT else self.entrance
        path = re.sub(r"\{\w+(\.\.\.)?\}", "a", entrance.shape)
        target = f"http://evil.example{path}" if self.host == "another in the target" else path
        fields = [(b"Host", host) for host in HOSTS[self.host]]
        if SENT[self.key]:
            fields.append((b"Authorization", f"Bearer {SENT[self.key]}".encode()))
        if self.method not in {"GET", "OPTIONS"}:
            fields += [(b"Content-Type", CONTENTS[entrance.body]), (b"Content-Length", b"2")]
        head = [*fields, *PAGES[self.page]]
        return RequestHead(self.method.encode(), target.encode(), "1.1", tuple(head))


def expected(case: Case) -> int:
    """The status that refuses a case, 0 where it is let in: each rule once more, in plain words."""
    if case.host == "twice":
        return 400
    if case.host == "another in the target":
        return 400
    if case.door in {"own", "root", "stranger"}:
        return 403 if case.door == "stranger" else 0
    if case.host == "evil" or (case.host == "its address" and case.door == "loopback"):
        return 421
    is_costly = case.method != "GET" or case.entrance.answer == "control"
    if is_costly and case.page in {"cross", "opaque", "of the same site"}:
        return 403
    if case.entrance.scope == "none":
        return 0
    if case.ring == "no keys":
        if case.door == "loopback" and case.host == "local":
            return 0 if case.entrance.scope in {"list", "infer", "read"} else 403
        return 401
    if case.key not in GRANTS:
        return 401
    return 0 if case.entrance.scope in GRANTS[case.key] else 403


def cases() -> Iterator[Case]:
    for entrance in (*TABLE, PREFLIGHT):
        methods = METHODS if entrance.method == "*" else (entrance.method,)
        chosen = product(methods, RINGS, SENT, HOSTS, PAGES, DOORS)
        yield from (Case(entrance, *rest) for rest in chosen)


def doorkeeper(ring: KeyRing | None) -> Doorkeeper:
    seats = Seats(lambda: NOW)
    seats.route(Routes(names=(NAME,), origins=(PAGE,)))
    return Doorkeeper(seats, lambda: ring, (lambda: 0.0, lambda: NOW))


Judge = Callable[[Case], Judged]


def judged(case: Case) -> Judged:
    # From an address of its own: who fails too often is told something else.
    return KEEPERS[case.ring].judge(case.head, DOORS[case.door]._replace(address=str(next(AGAIN))))


AGAIN = count()
KEEPERS = {name: doorkeeper(ring) for name, ring in RINGS.items()}


def wrong(judge: Judge, entrances: Collection[Entrance] = TABLE) -> list[str]:
    """What is let in and should not be, or the other way round."""
    return [
        f"{case.method} {case.entrance.shape} {case[2:]}: {found} for {status}"
        for case in cases()
        if case.entrance in entrances
        if (status := expected(case)) != (found := _status(judge(case)))
    ]


def _status(found: Judged) -> int:
    return found.found.status if isinstance(found.found, Refusal) else 0


def test_every_route_lets_in_whom_it_should_and_nobody_else() -> None:
    assert wrong(judged)[:10] == []


def test_only_these_are_open_to_whoever_comes() -> None:
    assert {one.shape for one in TABLE if one.scope == "none"} == {"/health", "/healthz", "/readyz"}


def test_a_route_that_checks_nothing_is_noticed() -> None:
    def careless(case: Case) -> Judged:
        keeper = judged(case)
        if _status(keeper) in {401, 403}:
            return judged(case._replace(door="own", host="local"))
        return keeper

    assert wrong(careless, TABLE[:1])
