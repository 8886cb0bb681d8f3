"""Manual: docs/errors.md, which the installed package carries along, so that it is written once."""

from __future__ import annotations

import re
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
PLACES = (PACKAGE / "docs" / "errors.md", PACKAGE.parent / "docs" / "errors.md")
"""Where the page is: installed, and in a checkout."""


def reasons() -> dict[str, str]:
    """Return what the page says of every error and reason, by name."""
    page = next((place for place in PLACES if place.is_file()), None)
    _, *parts = re.split(r"^## (\w+)\n", page.read_text(encoding="utf-8") if page else "", flags=re.MULTILINE)
    texts = (re.split(r"^# ", text, flags=re.MULTILINE)[0].strip() for text in parts[1::2])
    return dict(zip(parts[::2], texts, strict=True))
