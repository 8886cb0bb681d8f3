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

from reconciler.config.yaml_positions import parse
from reconciler.config.yaml_words import plain
from reconciler.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import JsonValue

Node: TypeAlias = Any
"""A node of the parser; ruamel.yaml does not type their fields."""

QUOTES = {"'", '"'}


class _Edit(NamedTuple):
    """New text for the characters from `start` to `end`."""

    start: int
    end: int
    text: str


class _Composer(Composer):
    """A composer that leaves an alias what it is: a word at its own place."""

    # The parser's own puts in what the alias stands for, whose place is the anchor's: an edit would
    # be made there.

    def compose_node(self, parent: Node, index: Node) -> Node:
        if not self.parser.check_event(AliasEvent):
            return super().compose_node(parent, index)
        alias = self.parser.get_event()
        return ScalarNode(
            "tag:yaml.org,2002:str", f"*{alias.anchor}", alias.start_mark, alias.end_mark
        )


def put(content: bytes, path: Sequence[str], word: str) -> bytes:
    """Set the value at a path to a word, or to a list of it where a list was.

    Keys that are missing on the way are added. `content` must be without flaws. Raise ConfigError.
    """
    text = content.decode()
    edit = _edit(_composed(text), text, tuple(path), word)
    spliced = (text[: edit.start] + edit.text + text[edit.end :]).encode()
    after = parse(spliced)
    if after.flaws or after.value != _with(parse(content).value, path, word):
        written = f"{'.'.join(path)}: {word}"
        raise ConfigError(
            f"the file is written in a way that no program should edit; write {written} into it"
            " yourself"
        )
    return spliced


def _composed(text: str) -> Node:
    reader = YAML(typ="safe", pure=True)
    reader.Composer = _Composer
    return reader.compose(text)


def _with(value: JsonValue, path: Sequence[str], word: str) -> JsonValue:
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
        return _Edit(node.start_mark.index, node.end_mark.index, f" {_value(path, word)}")
    for key, value in node.value:
        if key.value == path[0]:
            if _is_empty(value):
                return _filled(key, text, path[1:], word)
            return _edit(value, text, path[1:], word)
    return _added(node, text, path, word)


def _filled(key: Node, text: str, path: tuple[str, ...], word: str) -> _Edit:
    # An empty value stands where the next thing does; the word belongs behind the colon.
    colon = text.index(":", key.end_mark.index) + 1
    return _Edit(colon, colon, f" {_value(path, word)}")


def _is_empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and bool(node.start_mark.index == node.end_mark.index)


def _of_value(node: Node, word: str) -> _Edit:
    # The brackets or dashes of a list stay, and what is between its first and last item goes.
    if isinstance(node, SequenceNode) and node.value:
        first, last = node.value[0], node.value[-1]
        return _Edit(first.start_mark.index, last.end_mark.index, _quoted(word, first.style))
    style = getattr(node, "style", None)
    return _Edit(node.start_mark.index, node.end_mark.index, _quoted(word, style))


def _added(node: Node, text: str, path: tuple[str, ...], word: str) -> _Edit:
    """Append an entry to a mapping."""
    entry = _flow(path, word)
    if not node.flow_style:
        return _added_line(node, text, entry)
    place = _end(node.value[-1][1]) if node.value else node.start_mark.index + 1
    return _Edit(place, place, f", {entry}" if node.value else entry)


def _added_line(node: Node, text: str, entry: str) -> _Edit:
    ends = "\r\n" if "\r\n" in text else "\n"
    line = f"{' ' * node.start_mark.column}{entry}{ends}"
    last = _end(node.value[-1][1])
    place = last if text[last - 1] == "\n" else text.find("\n", last) + 1
    if not place:
        # The last line of the file has no end yet.
        return _Edit(len(text), len(text), f"{ends}{line}")
    return _Edit(place, place, line)


def _end(node: Node) -> int:
    # The parser lets a block reach to the next thing after it, comments between them included.
    if isinstance(node, ScalarNode) or node.flow_style or not node.value:
        end: int = node.end_mark.index
        return end
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _value(path: Sequence[str], word: str) -> str:
    return f"{{{_flow(path, word)}}}" if path else _quoted(word)


def _flow(path: Sequence[str], word: str) -> str:
    *around, last = path
    opened = "".join(f"{_quoted(key)}: {{" for key in around)
    return f"{opened}{last}: {_quoted(word)}{'}' * len(around)}"


def _quoted(word: str, style: str | None = None) -> str:
    """Quote a word as the one that it replaces, or where it would mean something else without."""
    needed = '"' if plain(word) != word else ""
    quote = style if style in QUOTES else needed
    return f"{quote}{word}{quote}"
