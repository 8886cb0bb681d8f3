"""Error pages: pages of docs/ that the installed package carries along, so that they are written once."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.model.reason import Reason

PACKAGE = Path(__file__).parents[1]
FOLDERS = (PACKAGE / "docs", PACKAGE.parent / "docs")
"""Where the pages are: installed, and in a checkout."""


def reasons() -> dict[str, Reason]:
    """Return what docs/errors.md says of every error and reason, by name."""
    _, *parts = re.split(r"^## (\w+)\n", _page("errors.md"), flags=re.MULTILINE)
    texts = (re.split(r"^# ", text, flags=re.MULTILINE)[0].strip() for text in parts[1::2])
    return dict(zip(parts[::2], map(_reason, texts), strict=True))


def _reason(text: str) -> Reason:
    found, _, fix = " ".join(text.split()).removeprefix("- Found: ").partition(" - Do: ")
    return Reason(found, fix)


def words() -> dict[str, str]:
    """Return what docs/questions.md says of every word that plans, status and history use."""
    _, _, table = _page("questions.md").partition("| word | means |\n|---|---|\n")
    return {
        word.strip("`"): means
        for word, means in re.findall(r"^\| (.+?) \| (.+) \|$", table, flags=re.MULTILINE)
    }


def _page(name: str) -> str:
    """Return a page, empty where it was not carried along."""
    page = next((folder / name for folder in FOLDERS if (folder / name).is_file()), None)
    return page.read_text(encoding="utf-8") if page else ""
