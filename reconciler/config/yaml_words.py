"""YAML words: what an unquoted one means, by the core schema of YAML 1.2.

`on`, `off`, `yes` and `no` are words.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import JsonValue

# Bounded, because Python refuses to read whole numbers of thousands of digits.
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}|0o[0-7]{1,21}|0x[0-9a-fA-F]{1,16}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_CONSTANTS: dict[str, JsonValue] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def plain(text: str) -> JsonValue:
    """Read an unquoted word as the value that it stands for."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
    # JSON has no infinity.
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text
