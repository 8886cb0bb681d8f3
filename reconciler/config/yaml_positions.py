"""YAML with positions: plain JSON values out of a YAML 1.2 document, and where each of them stands.

What the parser objects to is told in the words of a person, at the place to look at.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from reconciler.config.yaml_builder import Builder, Foreign, place_of_mark
from reconciler.config.yaml_document import BEGINNING, BrokenText, Document, FilePosition, Flaw

if TYPE_CHECKING:
    from collections.abc import Mapping

_BEGUN = {
    "could not find expected ':'": "expected `key: value` here, with a space after the colon",
    "but got '<stream end>'": "a list or mapping begins here and is never closed",
    "found unexpected end of stream": "a text in quotes begins here and is never closed",
    "expected ',' or '}'": "the mapping that begins here lacks a comma, or } at its end",
    "expected ',' or ']'": "the list that begins here lacks a comma, or ] at its end",
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


# Of a pair of files that is followed mostly one changes. No document is changed once it is read.
@lru_cache(maxsize=4)
def parse(content: bytes) -> Document:
    """Read the one document in `content`.

    What is wrong stands in `flaws`, and whether all was read in `complete`.
    """
    document = Document()
    text = ""
    try:
        text = _text(content)
        document.value = Builder(document, YAML(typ="safe", pure=True).parse(text)).build()
        document.complete = True
    except BrokenText as broken:
        document.flaws.append(broken.flaw)
    except MarkedYAMLError as error:
        document.flaws.append(_unreadable(error))
    except ReaderError as error:
        document.flaws.append(_forbidden(text, error.position))
    # The parser asserts what a directive says.
    except (YAMLError, ValueError, OverflowError, AssertionError) as error:
        document.flaws.append(_not_yaml(BEGINNING, str(error)))
    return document


def _unreadable(error: Foreign) -> Flaw:
    problem = str(error.problem or error.context)
    here, around = error.problem_mark, error.context_mark
    if begun := _reworded(problem, _BEGUN):
        return _not_yaml(place_of_mark(around or here), begun)
    return _not_yaml(place_of_mark(here or around), _reworded(problem, _MISPLACED) or problem)


def _reworded(problem: str, sentences: Mapping[str, str]) -> str:
    return next((said for phrase, said in sentences.items() if phrase in problem), "")


def _not_yaml(place: FilePosition, sentence: str) -> Flaw:
    return Flaw(place, (), f"this is not YAML: {sentence}")


def _forbidden(text: str, position: int) -> Flaw:
    sentence = f"found the control character #x{ord(text[position]):02x}; remove it"
    return Flaw(_place_of(text, position), (), sentence)


def _text(content: bytes) -> str:
    """Decode a file, and refuse what the parser would explain badly or not refuse at all."""
    text = _decoded(content)
    if conflict := _CONFLICT.search(text):
        sentence = (
            f"found {conflict[1]}, which git leaves where two versions differ; keep one of them and"
            " remove such lines"
        )
        raise _broken(text, conflict.start(), sentence)
    if tab := _INDENTED_BY_TAB.search(text):
        sentence = (
            "found a tab before the first word, expected spaces; YAML does not indent with tabs"
        )
        raise _broken(text, text.index("\t", tab.start()), sentence)
    return text


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _broken("", 0, "the file is UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        byte = f"0x{content[error.start]:02x}"
        sentence = f"found the byte {byte}, which is not UTF-8; save the file as UTF-8"
        raise _broken(before, len(before), sentence) from None


def _broken(text: str, position: int, sentence: str) -> BrokenText:
    return BrokenText(Flaw(_place_of(text, position), (), sentence))


def _place_of(text: str, position: int) -> FilePosition:
    before = _LINE_ENDS.split(text[:position])
    return FilePosition(len(before), len(before[-1]) + 1)
