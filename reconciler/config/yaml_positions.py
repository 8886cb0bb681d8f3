"""YAML with positions: plain JSON values out of a YAML 1.2 document, and where each of them stands.

Built on the parser's events, so that no tag constructs anything and every refusal knows its line.
Scalars follow the core schema of YAML 1.2: `on`, `off`, `yes` and `no` are words. Merge keys (`<<`)
are those of YAML 1.1, as in compose files: what stands beside one wins over what it brings, and of
several mappings the first wins.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)
from ruamel.yaml.reader import ReaderError

from reconciler.model.problem import KeyPath, found

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import JsonValue

Foreign: TypeAlias = Any
"""An event or a mark of the parser; ruamel.yaml does not type their fields."""

DEEPEST = 20
MOST_VALUES = 20_000
"""In one file, those that aliases stand for counted each time."""

MERGE = "<<"

_INTEGER = re.compile(r"[-+]?[0-9]{1,40}|0o[0-7]{1,21}|0x[0-9a-fA-F]{1,16}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, JsonValue] = {"": None, "~": None, "true": True, "false": False}
_WORDS |= {
    "null": None,
    "Null": None,
    "NULL": None,
    "True": True,
    "TRUE": True,
    "False": False,
    "FALSE": False,
}
_BEGUN = {
    "could not find expected ':'": "expected `key: value` here, with a space after the colon",
    "but got '<stream end>'": "a list or mapping begins here and is never closed",
    "found unexpected end of stream": "a text in quotes begins here and is never closed",
}
"""What the parser says at the end of the file, and how a person would, at the beginning of what is
not finished."""

_MISPLACED = {
    "expected the node content": (
        "found the end of a list, a mapping or the file, expected a value; is something cut off?"
    ),
    "mapping values are not allowed here": (
        "found `key:` where none can stand; check indentation and quotes, here and before"
    ),
    "expected <block end>": (
        "this does not fit what stands around it; check indentation, brackets and quotes"
    ),
}
"""What the parser says at its place, and how a person would."""

_INDENTED_BY_TAB = re.compile(r"^ *\t[ \t]*[^\s#]", re.MULTILINE)
_CONFLICT = re.compile(r"^(<{7}|={7}|>{7})( |\r?$)", re.MULTILINE)
_LINE_ENDS = re.compile(r"\r\n|\r|\n")


class FilePosition(NamedTuple):
    """Point into a file; both count from 1."""

    line: int
    column: int


class Flaw(NamedTuple):
    """What is wrong with the text at a place."""

    place: FilePosition
    path: KeyPath
    sentence: str


@dataclass
class Document:
    """The value of a document, where its keys and values stand, and what is wrong with its text.

    What an alias or a merge key brings stands where it is written. `typed` holds the text of
    unquoted numbers, true and false.
    """

    value: JsonValue = None
    keys: dict[KeyPath, FilePosition] = field(default_factory=dict)
    values: dict[KeyPath, FilePosition] = field(default_factory=dict)
    typed: dict[KeyPath, str] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)
    complete: bool = False

    def place(self, path: KeyPath, *, at_key: bool = False) -> FilePosition:
        """Return where a value or its key stands.

        What nobody wrote stands where the nearest thing around it does.
        """
        path = self.written(path)
        value = self.values.get(path, FilePosition(1, 1))
        return self.keys.get(path, value) if at_key else value

    def written(self, path: KeyPath) -> KeyPath:
        """Return the part of a path that somebody wrote: a schema may see `a: x` as `a: {kind: x}` or `a: [x]`."""
        while path and path not in self.values:
            path = path[:-1]
        return path


class _Broken(Exception):
    """Carry the flaw that ends reading."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.sentence)
        self.flaw = flaw


@lru_cache(maxsize=4)
def parse(content: bytes) -> Document:
    """Return the one document in `content`: what is wrong stands in `flaws`, whether all was read in `complete`.

    What was parsed last is remembered, since of a pair of files that is followed mostly one
    changes; nobody changes a document.
    """
    document = Document()
    text = ""
    try:
        text = _text(content)
        document.value = _Builder(document, YAML(typ="safe", pure=True).parse(text)).document()
        document.complete = True
    except _Broken as broken:
        document.flaws.append(broken.flaw)
    except MarkedYAMLError as error:
        document.flaws.append(_unreadable(error))
    except ReaderError as error:
        place = _place_of(text, error.position)
        document.flaws.append(
            Flaw(
                place,
                (),
                f"found the control character #x{ord(text[error.position]):02x}; remove it",
            )
        )
    except (
        YAMLError,
        ValueError,
        OverflowError,
        AssertionError,
    ) as error:  # the parser asserts what a directive says
        document.flaws.append(Flaw(FilePosition(1, 1), (), f"this is not YAML: {error}"))
    return document


def _unreadable(error: Foreign) -> Flaw:
    problem = str(error.problem or error.context)
    begun = next((said for phrase, said in _BEGUN.items() if phrase in problem), None)
    sentence = begun or next(
        (said for phrase, said in _MISPLACED.items() if phrase in problem), problem
    )
    marks = (
        (error.context_mark, error.problem_mark)
        if begun
        else (error.problem_mark, error.context_mark)
    )
    return Flaw(_place(marks[0] or marks[1]), (), f"this is not YAML: {sentence}")


def _text(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _Broken(Flaw(FilePosition(1, 1), (), "the file is UTF-16; save it as UTF-8"))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        sentence = (
            f"found the byte 0x{content[error.start]:02x}, which is not UTF-8; save the file as"
            " UTF-8"
        )
        raise _Broken(Flaw(_place_of(before, len(before)), (), sentence)) from None
    conflict = _CONFLICT.search(text)
    if conflict:
        sentence = (
            f"found {conflict[1]}, which git leaves where two versions differ; keep one of them and"
            " remove such lines"
        )
        raise _Broken(Flaw(_place_of(text, conflict.start()), (), sentence))
    tab = _INDENTED_BY_TAB.search(text)
    if tab:
        place = _place_of(text, text.index("\t", tab.start()))
        raise _Broken(
            Flaw(
                place,
                (),
                "found a tab before the first word, expected spaces; YAML does not indent with"
                " tabs",
            )
        )
    return text


def _place_of(text: str, position: int) -> FilePosition:
    before = _LINE_ENDS.split(text[:position])
    return FilePosition(len(before), len(before[-1]) + 1)


def _place(mark: Foreign) -> FilePosition:
    return FilePosition(mark.line + 1, mark.column + 1) if mark else FilePosition(1, 1)


class _Anchored(NamedTuple):
    """What an anchor names, and where it was read."""

    value: JsonValue
    path: KeyPath


class _Builder:
    """Build values from events, depth first, noting places and flaws on the way."""

    def __init__(self, document: Document, events: Iterator[Foreign]) -> None:
        self._document = document
        self._events = events
        self._anchored: dict[str, _Anchored] = {}

    def document(self) -> JsonValue:
        """Return the value of the only document."""
        next(self._events)
        if not isinstance(next(self._events), DocumentStartEvent):
            raise _Broken(
                Flaw(FilePosition(1, 1), (), "the file is empty; expected at least `version: 1`")
            )
        value = self._node(next(self._events), ())
        next(self._events)
        after = next(self._events)
        if isinstance(after, DocumentStartEvent):
            self._flaw(
                after,
                (),
                "found a second document, expected one per file; remove the `---` line and what"
                " follows",
            )
        return value

    def _flaw(self, event: Foreign, path: KeyPath, sentence: str) -> None:
        self._document.flaws.append(Flaw(_place(event.start_mark), path, sentence))

    def _stands(self, path: KeyPath, place: FilePosition, written_at: FilePosition) -> None:
        """Note where a value stands.

        End reading at `written_at` where there are too many, or too deep ones.
        """
        self._document.values[path] = place
        if len(path) > DEEPEST:
            raise _Broken(Flaw(written_at, path[:3], f"nested deeper than {DEEPEST} levels"))
        if len(self._document.values) > MOST_VALUES:
            raise _Broken(
                Flaw(written_at, path[:3], f"more than {MOST_VALUES:,} values in one file")
            )

    def _node(self, event: Foreign, path: KeyPath) -> JsonValue:
        place = _place(event.start_mark)
        self._stands(path, place, place)
        if isinstance(event, AliasEvent):
            return self._alias(event, path)
        if event.tag is not None:
            self._flaw(
                event, path, f"found the tag {event.tag}, expected a plain value; tags are refused"
            )
        value = self._content(event, path)
        if event.anchor is not None:
            self._anchored[event.anchor] = _Anchored(value, path)
        return value

    def _content(self, event: Foreign, path: KeyPath) -> JsonValue:
        if isinstance(event, MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, ScalarEvent):
            value = self._scalar(event, path)
            if isinstance(value, (bool, int, float)):
                self._document.typed[path] = str(event.value)
            return value
        items: list[JsonValue] = []
        while not isinstance(item := next(self._events), SequenceEndEvent):
            items.append(self._node(item, (*path, len(items))))
        return items

    def _mapping(self, path: KeyPath) -> JsonValue:
        mapping: dict[str, JsonValue] = {}
        merge: Foreign = None
        while not isinstance(event := next(self._events), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                raise _Broken(
                    Flaw(
                        _place(event.start_mark),
                        path,
                        "found a key that is not a word, expected `key: value`",
                    )
                )
            key = str(event.value)
            if self._scalar(event, path) is None and not key:
                self._flaw(event, path, "found a value without a key")
            here = (*path, key)
            if key in mapping:
                first = self._document.keys[here]
                self._flaw(
                    event, here, f"found {found(key)} twice, first in line {first.line}; remove one"
                )
            else:
                self._document.keys[here] = _place(event.start_mark)
            value = self._node(next(self._events), here)
            mapping.setdefault(key, value)
            merge = event if key == MERGE and not event.style else merge
        if merge:
            self._merge(merge, path, mapping)
        return mapping

    def _merge(self, event: Foreign, path: KeyPath, mapping: dict[str, JsonValue]) -> None:
        """Put what a merge key brings into its mapping, where that does not say it itself."""
        here, brought = (*path, MERGE), mapping.pop(MERGE)
        sources = (
            [(here, brought)]
            if not isinstance(brought, list)
            else [((*here, at), one) for at, one in enumerate(brought)]
        )
        for place, source in sources:
            if not isinstance(source, dict):
                self._flaw(
                    event,
                    path,
                    f"found {found(source)} behind <<, expected a mapping, or a list of them: `<<:"
                    " *name`",
                )
                continue
            for key, value in source.items():
                if key not in mapping:
                    mapping[key] = value
                    self._repeat(value, (*place, key), (*path, key), _place(event.start_mark))

    def _alias(self, event: Foreign, path: KeyPath) -> JsonValue:
        anchored = self._anchored.get(event.anchor)
        if anchored is None:
            self._flaw(
                event, path, f"found *{event.anchor}, but no &{event.anchor} is complete before it"
            )
            return None
        place = _place(event.start_mark)
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
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._flaw(event, path, "found half of a surrogate pair; write the character itself")
            return ""
        return text if event.style else plain(text)


def _parts(value: JsonValue) -> Iterable[tuple[str | int, JsonValue]]:
    """Return the values in a mapping or a list by their keys, none in a word."""
    return (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )


def plain(text: str) -> JsonValue:
    """Return what an unquoted word means."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text
