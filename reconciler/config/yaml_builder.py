"""YAML builder: plain values out of a parser's events, with places and flaws noted on the way.

Built on events, so that no tag constructs anything and every refusal knows its line. Merge keys
(`<<`) are those of YAML 1.1, as in compose files: what stands beside one wins over what it brings,
and of several mappings the first wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from reconciler.config.yaml_document import BEGINNING, BrokenText, Document, FilePosition, Flaw
from reconciler.config.yaml_words import plain
from reconciler.model.problem import KeyPath, found

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import JsonValue

Foreign: TypeAlias = Any
"""An event or a mark of the parser; ruamel.yaml does not type their fields."""

DEEPEST = 20

# Without a bound, nine lines of ten aliases each to the line before would be a billion values.
MOST_VALUES = 20_000
"""In one file, those that aliases stand for counted each time."""

MERGE = "<<"


class _Anchored(NamedTuple):
    """What an anchor names, and where it was read."""

    value: JsonValue
    path: KeyPath


class Builder:
    """The values of one document, built depth first."""

    def __init__(self, document: Document, events: Iterator[Foreign]) -> None:
        self._document = document
        self._events = events
        self._anchored: dict[str, _Anchored] = {}

    def build(self) -> JsonValue:
        """Build the value of the only document; raise BrokenText."""
        next(self._events)
        if not isinstance(next(self._events), DocumentStartEvent):
            sentence = "the file is empty; expected at least `version: 1`"
            raise BrokenText(Flaw(BEGINNING, (), sentence))
        value = self._node(next(self._events), ())
        next(self._events)
        after = next(self._events)
        if isinstance(after, DocumentStartEvent):
            sentence = (
                "found a second document, expected one per file; remove the `---` line and what"
                " follows"
            )
            self._flaw(after, (), sentence)
        return value

    def _flaw(self, event: Foreign, path: KeyPath, sentence: str) -> None:
        self._document.flaws.append(Flaw(place_of_mark(event.start_mark), path, sentence))

    def _stands(self, path: KeyPath, place: FilePosition, written_at: FilePosition) -> None:
        """Note where a value stands.

        End reading at `written_at` where there are too many, or too deep ones.
        """
        values = self._document.values
        values[path] = place
        if len(path) > DEEPEST:
            sentence = f"nested deeper than {DEEPEST} levels"
        elif len(values) > MOST_VALUES:
            sentence = f"more than {MOST_VALUES:,} values in one file"
        else:
            return
        raise BrokenText(Flaw(written_at, path[:3], sentence))

    def _node(self, event: Foreign, path: KeyPath) -> JsonValue:
        place = place_of_mark(event.start_mark)
        self._stands(path, place, place)
        if isinstance(event, AliasEvent):
            return self._alias(event, path)
        if event.tag is not None:
            sentence = f"found the tag {event.tag}, expected a plain value; tags are refused"
            self._flaw(event, path, sentence)
        value = self._content(event, path)
        # Noted only now: an alias within its own anchor would be a value without end.
        if event.anchor is not None:
            self._anchored[event.anchor] = _Anchored(value, path)
        return value

    def _content(self, event: Foreign, path: KeyPath) -> JsonValue:
        if isinstance(event, MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, ScalarEvent):
            return self._word(event, path)
        return self._list(path)

    def _word(self, event: Foreign, path: KeyPath) -> JsonValue:
        value = self._scalar(event, path)
        if isinstance(value, (bool, int, float)):
            self._document.typed[path] = str(event.value)
        return value

    def _list(self, path: KeyPath) -> list[JsonValue]:
        items: list[JsonValue] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return items

    def _mapping(self, path: KeyPath) -> JsonValue:
        mapping: dict[str, JsonValue] = {}
        merge: Foreign = None
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._key(event, path)
            here = (*path, key)
            self._key_stands(event, here, is_first=key not in mapping)
            mapping.setdefault(key, self._node(next(self._events), here))
            # In quotes it is a key like any other.
            if key == MERGE and not event.style:
                merge = event
        if merge is not None:
            self._merge(merge, path, mapping)
        return mapping

    def _key(self, event: Foreign, path: KeyPath) -> str:
        if not isinstance(event, ScalarEvent):
            sentence = "found a key that is not a word, expected `key: value`"
            raise BrokenText(Flaw(place_of_mark(event.start_mark), path, sentence))
        key = str(event.value)
        if self._scalar(event, path) is None and not key:
            self._flaw(event, path, "found a value without a key")
        return key

    def _key_stands(self, event: Foreign, here: KeyPath, *, is_first: bool) -> None:
        keys = self._document.keys
        if is_first:
            keys[here] = place_of_mark(event.start_mark)
            return
        line = keys[here].line
        self._flaw(event, here, f"found {found(here[-1])} twice, first in line {line}; remove one")

    def _merge(self, event: Foreign, path: KeyPath, mapping: dict[str, JsonValue]) -> None:
        """Put what a merge key brings into its mapping, where that does not say it itself."""
        used_at = place_of_mark(event.start_mark)
        for place, source in _sources((*path, MERGE), mapping.pop(MERGE)):
            if not isinstance(source, dict):
                expected = "a mapping, or a list of them: `<<: *name`"
                self._flaw(event, path, f"found {found(source)} behind <<, expected {expected}")
                continue
            for key in [key for key in source if key not in mapping]:
                mapping[key] = source[key]
                self._repeat(source[key], (*place, key), (*path, key), used_at)

    def _alias(self, event: Foreign, path: KeyPath) -> JsonValue:
        anchored = self._anchored.get(event.anchor)
        if anchored is None:
            sentence = f"found *{event.anchor}, but no &{event.anchor} is complete before it"
            self._flaw(event, path, sentence)
            return None
        place = place_of_mark(event.start_mark)
        self._repeat(anchored.value, anchored.path, path, place)
        self._document.values[path] = place
        return anchored.value

    def _repeat(
        self, value: JsonValue, source: KeyPath, target: KeyPath, used_at: FilePosition
    ) -> None:
        """Note that a value which stands at one path is that of another path too."""
        document = self._document
        self._stands(target, document.values[source], used_at)
        if source in document.keys:
            document.keys.setdefault(target, document.keys[source])
        if source in document.typed:
            document.typed[target] = document.typed[source]
        for key, part in _parts(value):
            self._repeat(part, (*source, key), (*target, key), used_at)

    def _scalar(self, event: Foreign, path: KeyPath) -> JsonValue:
        text = str(event.value)
        # YAML lets one be escaped, and no file, argument or row could hold it.
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._flaw(event, path, "found half of a surrogate pair; write the character itself")
            return ""
        return text if event.style else plain(text)


def place_of_mark(mark: Foreign) -> FilePosition:
    """Convert a mark of the parser, which counts from 0."""
    return FilePosition(mark.line + 1, mark.column + 1) if mark else BEGINNING


def _sources(here: KeyPath, brought: JsonValue) -> list[tuple[KeyPath, JsonValue]]:
    """List what stands behind a merge key, each with where it stands."""
    if isinstance(brought, list):
        return [((*here, at), one) for at, one in enumerate(brought)]
    return [(here, brought)]


def _parts(value: JsonValue) -> Iterable[tuple[str | int, JsonValue]]:
    """List the values in a mapping or a list by their keys, none in a word."""
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()
