"""Keys: who asks, by the key that was sent, and what that allows.

No key is ever part of a sentence, and none is passed on to an engine.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from reconciler.gateway.head import Field, Refusal
from reconciler.gateway.routes import Scope
from reconciler.model.access_key import PREFIX, AccessKey, KeyRing, hashed
from reconciler.model.key_scope import KeyScope

GRANTS: dict[KeyScope, frozenset[Scope]] = {
    "infer": frozenset({"none", "list", "infer"}),
    "read": frozenset({"none", "list", "read"}),
    "operate": frozenset({"none", "list", "read", "operate"}),
    "admin": frozenset({"none", "list", "infer", "read", "operate", "admin"}),
}
"""What each scope of a key opens."""

NONE_SENT = "no key was sent, and this request needs one"
MAKE = "`reconciler key add NAME --scope {scope}` makes one"


class Requester(NamedTuple):
    """Who asks; of no `models` any may be asked for."""

    name: str
    scopes: frozenset[Scope]
    models: frozenset[str] = frozenset()
    in_flight: int | None = None
    waiting: int | None = None
    wakes_by_listing: bool = False
    expires: float | None = None
    key: str = ""
    """The id of the key: another one may have the same name later."""

    def has_expired(self, now: float) -> bool:
        """Whether its key counts no more, by the wall clock."""
        return self.expires is not None and self.expires <= now

    def may_use(self, model_name: str) -> bool:
        """Whether requests for a model are allowed."""
        return not self.models or model_name in self.models


class KnownKey(NamedTuple):
    """What a key is compared with, and whose it is."""

    sha256: str
    requester: Requester


KnownKeys: TypeAlias = Mapping[str, KnownKey]
"""Keys by their ids."""

NOBODY = Requester("", frozenset({"none"}))
HERE = Requester("", GRANTS["infer"] | GRANTS["read"])
"""Whoever asks over the loopback where no keys were made."""

OWNER = Requester("", GRANTS["admin"])
"""Who asks by the control socket, which only the user that runs this may use, and root."""


UNKNOWN = KnownKey("0" * 64, NOBODY)
"""What a key is compared with that nobody knows, so that this takes as long."""


def offered(fields: Iterable[Field]) -> tuple[str, ...]:
    """The keys that a request was sent with: its query is no place for one, since logs keep it."""
    return tuple(text for name, value in fields for text in _texts(name.lower(), value))


def _texts(name: bytes, value: bytes) -> Iterator[str]:
    if name == b"x-api-key":
        yield value.decode("latin-1").strip()
    elif name == b"authorization":
        way, _, rest = value.decode("latin-1").strip().partition(" ")
        if way.lower() == "bearer":
            yield rest.strip()
        elif way.lower() == "basic":
            yield _password(rest.strip())


def _password(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("latin-1").partition(":")[2]
    except binascii.Error:
        return ""


def known(ring: KeyRing) -> KnownKeys:
    """The keys by their ids, as each request looks them up."""
    return {key.id: KnownKey(key.sha256, _requester(key)) for key in ring.keys}


def _requester(key: AccessKey) -> Requester:
    scopes = frozenset[Scope]().union(*(GRANTS[scope] for scope in key.scopes))
    return Requester(
        key.name,
        scopes,
        frozenset(key.models),
        key.in_flight,
        key.waiting,
        wakes_by_listing=key.wake_on_list and "infer" in scopes,
        expires=key.expires,
        key=key.id,
    )


def requester(keys: KnownKeys, texts: Iterable[str], now: float) -> Requester | Refusal:
    """Whose keys these are; the first that is known counts."""
    texts = tuple(texts)
    found = next((key for text in texts if (key := _matching(keys, text)) is not None), None)
    if found is None:
        said = "the key that was sent is none of `reconciler key list`" if texts else NONE_SENT
        makes = MAKE.format(scope="infer")
        return Refusal(401, f"{said}; {makes}, to be sent as Authorization: Bearer KEY")
    if found.requester.has_expired(now):
        who = found.requester.name
        return Refusal(401, f"the key {who} has expired; {MAKE.format(scope='infer')}")
    return found.requester


def _matching(keys: KnownKeys, text: str) -> KnownKey | None:
    prefix, id_, secret = text[: len(PREFIX)], text[len(PREFIX) : 11], text[12:]
    key = keys.get(id_, UNKNOWN)
    is_right = hmac.compare_digest(key.sha256, hashed(secret))
    is_one = prefix == PREFIX and text[11:12] == "_" and key is not UNKNOWN
    return key if is_right and is_one else None
