"""YAML edit: set one word of a YAML file and leave every other byte as it is.

A round trip through a YAML writer keeps comments, and still moves what it deems better elsewhere:
blanks, widths, line ends. So the place is found with the parser's nodes, only the word is replaced
there, and the result is read again: it must mean what was asked for and nothing else.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from reconciler.config.yaml_positions import parse, plain
from reconciler.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import JsonValue

Node: TypeAlias = Any
"""A node of the parser; ruamel.yaml does not type their fields."""

QUOTES = {"'", '"'}


class _Edit(NamedTuple):
    """Replace the characters from `start` to `end`."""

    start: int
    end: int
    text: str


class _Composer(Composer):
    """Compose nodes in which an alias is a word at its own place, where the parser would give what it stands for."""

    def compose_node(self, parent: Node, index: Node) -> Node:
        if not self.parser.check_event(AliasEvent):
            return super().compose_node(parent, index)
        alias = self.parser.get_event()
        return ScalarNode(
            "tag:yaml.org,2002:str", f"*{alias.anchor}", alias.start_mark, alias.end_mark
        )


def put(content: bytes, path: Sequence[str], word: str) -> bytes:
    """Return a document with a word as the value at a path, a list of one where a list was.

    Raise ConfigError.

    Keys that are missing on the way are added. `content` must be without flaws.
    """
    text = content.decode()
    reader = YAML(typ="safe", pure=True)
    reader.Composer = _Composer
    edit = _edit(reader.compose(text), text, tuple(path), word)
    spliced = (text[: edit.start] + edit.text + text[edit.end :]).encode()
    after = parse(spliced)
    if after.flaws or after.value != _with(parse(content).value, path, word):
        written = ".".join(path)
        raise ConfigError(
            f"the file is written in a way that no program should edit; write {written}: {word}"
            " into it yourself"
        )
    return spliced


def _with(value: JsonValue, path: Sequence[str], word: str) -> JsonValue:
    """Return a value with the word at the path."""
    if not path:
        return [word] if isinstance(value, list) and value else word
    mapping = copy.copy(value) if isinstance(value, dict) else {}
    mapping[path[0]] = _with(mapping.get(path[0]), path[1:], word)
    return mapping


def _edit(node: Node, text: str, path: tuple[str, ...], word: str) -> _Edit:
    if not path:
        return _of_value(node, word)
    if not isinstance(node, MappingNode):
        # A key with nothing behind it, such as `tower:`.
        return _Edit(node.start_mark.index, node.end_mark.index, f" {{{_flow(path, word)}}}")
    for key, value in node.value:
        if key.value == path[0]:
            empty = isinstance(value, ScalarNode) and value.start_mark.index == value.end_mark.index
            if not empty:
                return _edit(value, text, path[1:], word)
            rest = f"{{{_flow(path[1:], word)}}}" if path[1:] else _quoted(word)
            colon = text.index(":", key.end_mark.index) + 1
            return _Edit(colon, colon, f" {rest}")
    return _added(node, text, path, word)


def _of_value(node: Node, word: str) -> _Edit:
    if isinstance(node, SequenceNode) and node.value:
        style = node.value[0].style
        return _Edit(
            node.value[0].start_mark.index, node.value[-1].end_mark.index, _quoted(word, style)
        )
    return _Edit(
        node.start_mark.index, node.end_mark.index, _quoted(word, getattr(node, "style", None))
    )


def _added(node: Node, text: str, path: tuple[str, ...], word: str) -> _Edit:
    """Return a mapping's new last entry."""
    if node.flow_style:
        place = _end(node.value[-1][1]) if node.value else node.start_mark.index + 1
        return _Edit(place, place, f"{', ' if node.value else ''}{_flow(path, word)}")
    ends = "\r\n" if "\r\n" in text else "\n"
    entry = f"{' ' * node.start_mark.column}{_flow(path, word)}"
    last = _end(node.value[-1][1])
    place = last if text[last - 1] == "\n" else text.find("\n", last) + 1
    if not place:
        return _Edit(len(text), len(text), f"{ends}{entry}{ends}")
    return _Edit(place, place, f"{entry}{ends}")


def _end(node: Node) -> int:
    """Return where a value ends: the parser lets a block reach to the next thing after it."""
    if isinstance(node, ScalarNode) or node.flow_style or not node.value:
        end: int = node.end_mark.index
        return end
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _flow(path: Sequence[str], word: str) -> str:
    *around, last = path
    return (
        "".join(f"{_quoted(key)}: {{" for key in around)
        + f"{last}: {_quoted(word)}"
        + "}" * len(around)
    )


def _quoted(word: str, style: str | None = None) -> str:
    """Return a word as YAML, in the quotes of the one it replaces.

    One that would mean something else needs some.
    """
    quote = style if style in QUOTES else '"' if plain(word) != word else ""
    return f"{quote}{word}{quote}"
