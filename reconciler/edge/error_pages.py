"""Error pages: pages of docs/ that the installed package carries, so that they are written once."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.model.reason import Reason

PACKAGE = Path(__file__).parents[1]
FOLDERS = (PACKAGE / "docs", PACKAGE.parent / "docs")
"""Where the pages are: installed, and in a checkout."""


def reasons() -> dict[str, Reason]:
    """Read what docs/errors.md says of every error and reason, by name."""
    _, *parts = re.split(r"^## (\w+)\n", _page("errors.md"), flags=re.MULTILINE)
    names, texts = parts[::2], parts[1::2]
    return dict(zip(names, map(_reason, texts), strict=True))


def _reason(text: str) -> Reason:
    # The last section of a chapter ends where the title of the next chapter stands.
    section = re.split(r"^# ", text, flags=re.MULTILINE)[0]
    found, _, fix = " ".join(section.split()).removeprefix("- Found: ").partition(" - Do: ")
    return Reason(found, fix)


def words() -> dict[str, str]:
    """Read what docs/questions.md says of every word that plans, status and history use."""
    _, _, table = _page("questions.md").partition("| word | means |\n|---|---|\n")
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", table, flags=re.MULTILINE)
    return {word.strip("`"): means for word, means in rows}


def _page(name: str) -> str:
    """Read a page, empty where the package does not carry it."""
    page = next((folder / name for folder in FOLDERS if (folder / name).is_file()), None)
    return page.read_text(encoding="utf-8") if page else ""
