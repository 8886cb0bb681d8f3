"""YAML text: a word as a file of YAML has it, quoted only where it would otherwise be misread."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9/._+-]*")
_WORDS_OF_YAML = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def yaml_text(value: str) -> str:
    """Write a text so that YAML reads the same text back."""
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_YAML
    # A string of JSON is one of YAML too.
    return value if plain else json.dumps(value, ensure_ascii=False)


def yaml_mapping(words: Mapping[str, str | int]) -> str:
    """Write words by their keys on one line."""
    return f"{{{', '.join(f'{key}: {_yaml_word(word)}' for key, word in words.items())}}}"


def _yaml_word(word: str | int) -> str:
    return yaml_text(word) if isinstance(word, str) else json.dumps(word)
