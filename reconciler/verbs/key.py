"""Key: make, list and remove what lets clients through the gateway."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from reconciler.core.deadlines import parse_until
from reconciler.core.wording import listed
from reconciler.edge.key_file import KeyFile, new_secret
from reconciler.errors import ConfigError, Misused
from reconciler.model.access_key import AccessKey, KeyRing, hashed, written
from reconciler.model.key_scope import KeyScope
from reconciler.model.names import NAME_PATTERN
from reconciler.model.problem import nearest
from reconciler.ports import Clock, Source
from reconciler.render.documents import KeyDocument, KeysDocument
from reconciler.verbs.hosts import home
from reconciler.verbs.result import Outcome

A_NAME = "a name of lower case letters, digits, dots, dashes and underscores, such as laptop"


@dataclass(frozen=True)
class KeyWords:
    """How a key was asked for: `expires` as people say it, None for never."""

    scopes: Collection[KeyScope]
    models: Collection[str] = ()
    expires: str | None = None
    in_flight: int = 16
    waiting: int = 64
    wake_on_list: bool = False


def unchecked(source: Source, model_names: Collection[str]) -> str:
    """Why it is not known whether these models are there, empty where they are.

    Raise Misused for one that no file names: a key for it would open nothing.
    """
    if not model_names:
        return ""
    try:
        wanted = source.read()
    except ConfigError as error:
        return f"whether there is {listed(model_names)} could not be seen: {error.message}"
    for name in model_names:
        home(wanted, name)
    return ""


def add(
    file: KeyFile, clock: Clock, name: str, words: KeyWords, note: str = ""
) -> Outcome[KeysDocument]:
    """Make a key; raise Misused for a name that is taken or none, or an end that has passed.

    `note` is told with it.
    """
    for word in (name, *words.models):
        if not re.fullmatch(NAME_PATTERN, word):
            raise Misused(f"found {word}, expected {A_NAME}")
    end = words.expires
    expires = None if end is None else parse_until("--expires", end, clock.wall())
    id_, secret = new_secret()
    made = AccessKey(
        id=id_,
        name=name,
        sha256=hashed(secret),
        scopes=tuple(sorted(set(words.scopes))),
        models=tuple(sorted(set(words.models))),
        in_flight=words.in_flight,
        waiting=words.waiting,
        expires=expires,
        wake_on_list=words.wake_on_list,
    )
    file.change(lambda ring: _with(ring, made))
    return Outcome(_document((made,), written(id_, secret), note))


def remove(file: KeyFile, name: str) -> Outcome[KeysDocument]:
    """Let a key through no more; raise Misused for one that is not there."""
    removed: list[AccessKey] = []

    def without(ring: KeyRing) -> KeyRing:
        removed[:] = [key for key in ring.keys if key.name == name]
        if not removed:
            raise _unknown(name, ring)
        return KeyRing(keys=tuple(key for key in ring.keys if key.name != name))

    file.change(without)
    return Outcome(_document(removed))


def list_(file: KeyFile) -> Outcome[KeysDocument]:
    """Tell what keys there are, and nothing that would let anybody in."""
    return Outcome(_document((file.ring() or KeyRing()).keys))


def _with(ring: KeyRing, made: AccessKey) -> KeyRing:
    if any(key.name == made.name for key in ring.keys):
        said = f"there is a key {made.name} already"
        raise Misused(f"{said}; `reconciler key remove {made.name}` ends it")
    return KeyRing(keys=(*ring.keys, made))


def _unknown(name: str, ring: KeyRing) -> Misused:
    names = [key.name for key in ring.keys]
    return Misused(f"there is no key {name}; there are: {listed(names)}{nearest(name, names)}")


def _document(keys: Collection[AccessKey], made: str = "", note: str = "") -> KeysDocument:
    return KeysDocument(keys=tuple(map(_shown, keys)), made=made, note=note)


def _shown(key: AccessKey) -> KeyDocument:
    return KeyDocument(**key.model_dump(exclude={"sha256"}))
