"""Wording: how the parts of a sentence are put together where some of them may be missing."""

from __future__ import annotations

from collections.abc import Iterable


def preceded(by: str, text: str) -> str:
    """Put a sign before a text, or nothing where the text is empty."""
    return f"{by}{text}" if text else ""


def listed(names: Iterable[object], nothing: str = "none") -> str:
    """List names with commas, or say that there are none."""
    return ", ".join(map(str, names)) or nothing
