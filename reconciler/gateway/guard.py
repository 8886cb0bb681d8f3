"""Guard: who may come in where, by the key, the page and the door that a request comes from.

Pure: what is judged here is the table of routes, a request's head, and what the files say.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import urlsplit

from reconciler.gateway.head import Field, Refusal, RequestHead
from reconciler.gateway.keys import (
    HERE,
    MAKE,
    NOBODY,
    OWNER,
    KnownKeys,
    Requester,
    offered,
    requester,
)
from reconciler.gateway.routes import Entrance

SAFE = {b"GET", b"HEAD"}
OWN_PAGE = {b"same-origin", b"none"}
FORWARDED = {b"forwarded", b"x-forwarded-for"}
ROOT = 0


class Doorway(NamedTuple):
    """Where a connection came in: by the control socket, from the user `uid`, or over TCP.

    `is_local`: nothing but this machine can reach it; `own` is the user that runs this.
    """

    is_local: bool = True
    uid: int | None = None
    own: int = ROOT


class Guarding(NamedTuple):
    """What is known of keys (None: there are none), which pages elsewhere may ask, and the time."""

    keys: KnownKeys | None
    origins: Collection[str]
    now: float


def admitted(
    head: RequestHead, entrance: Entrance, door: Doorway, by: Guarding, *, is_local_name: bool
) -> Requester | Refusal:
    """Who asks, where that is allowed; `is_local_name`: the Host is a name of the loopback."""
    if door.uid is not None:
        return _user(door.uid, door.own)
    refusal = _foreign(head, entrance, by.origins) or _misstated(head, entrance)
    if refusal is not None:
        return refusal
    if entrance.scope == "none":
        return NOBODY
    is_near = door.is_local and is_local_name and not any(head.values(one) for one in FORWARDED)
    found = HERE if by.keys is None and is_near else _keyed(head, by)
    if isinstance(found, Refusal) or entrance.scope in found.scopes:
        return found
    return _beyond(found, entrance)


def _user(uid: int, own: int) -> Requester | Refusal:
    if uid in {ROOT, own}:
        return OWNER
    return Refusal(403, f"this socket is for the user {own} and root; found the user {uid}")


def _keyed(head: RequestHead, by: Guarding) -> Requester | Refusal:
    return requester(by.keys or {}, offered(head.fields), by.now)


def _beyond(found: Requester, entrance: Entrance) -> Refusal:
    needs = "infer" if entrance.scope == "list" else entrance.scope
    makes = MAKE.format(scope=needs)
    if found.name:
        said = f"the key {found.name} does not allow this, which needs the scope {needs}"
        return Refusal(403, f"{said}; {makes}")
    said = f"this needs a key of the scope {needs}, and none has been made"
    return Refusal(403, f"{said}; {makes}, and from then on every request needs a key")


def _foreign(head: RequestHead, entrance: Entrance, origins: Collection[str]) -> Refusal | None:
    """Why the page that asks may not: a browser sends what any page wants, with what it knows.

    Looking costs hosts something as well where it is a verb that looks.
    """
    origin, site = head.value(b"origin"), head.value(b"sec-fetch-site")
    is_costly = head.method not in SAFE or entrance.answer == "control"
    matters = is_costly or bool(head.values(b"upgrade"))
    if not (origin or site) or not matters or allowed_origin(head, origins):
        return None
    if origin and not _is_same(origin, head.value(b"host")):
        shown = origin.decode("latin-1")
        return Refusal(403, f"a page of {shown} asks; {LET_IN} {shown}")
    if site and site not in OWN_PAGE:
        return Refusal(403, f"a page of another origin asks; {LET_IN} that page's origin")
    return None


LET_IN = "to let it, add to `origins` under `gateway` of inventory.yaml:"


def _is_same(origin: bytes, host: bytes) -> bool:
    return urlsplit(origin.decode("latin-1")).netloc.lower() == host.decode("latin-1").lower()


def _misstated(head: RequestHead, entrance: Entrance) -> Refusal | None:
    """Why a body is not what it should be: a form of any page can post text, but no JSON."""
    length, codings = head.value(b"content-length"), head.values(b"transfer-encoding")
    has_body = length not in {b"", b"0"} or codings
    if entrance.body == "any" or not has_body:
        return None
    found = head.value(b"content-type").partition(b";")[0].strip().lower()
    expected = CONTENT_TYPES[entrance.body]
    if found == expected or (entrance.body == "json" and found.endswith(b"+json")):
        return None
    shown = found.decode("latin-1") or "nothing"
    say = f"; with curl, add {CURL_SAYS}" if entrance.body == "json" else ""
    return Refusal(415, f"found {shown} as Content-Type, expected {expected.decode()}{say}")


# curl's own `--json` is unknown to releases before 7.82, as in Ubuntu 22.04.
CURL_SAYS = "-H 'Content-Type: application/json'"
CONTENT_TYPES = {"json": b"application/json", "form": b"multipart/form-data"}


def allowed_origin(head: RequestHead, origins: Collection[str]) -> bytes:
    """The origin of a page elsewhere that may ask, b"" where there is none."""
    origin = head.value(b"origin")
    return origin if origin and origin.decode("latin-1").lower() in origins else b""


def cross_origin(head: RequestHead, origins: Collection[str]) -> tuple[Field, ...]:
    """The fields of an answer that let the page of another origin read it."""
    origin = allowed_origin(head, origins)
    if not origin:
        return ()
    let = ((b"Access-Control-Allow-Origin", origin), (b"Vary", b"Origin"))
    if not head.values(b"access-control-request-method"):
        return let
    asked = head.value(b"access-control-request-headers")
    return (
        *let,
        (b"Access-Control-Allow-Methods", b"GET, POST, PUT, DELETE"),
        (b"Access-Control-Allow-Headers", asked or b"Authorization, Content-Type"),
        (b"Access-Control-Max-Age", b"600"),
    )
