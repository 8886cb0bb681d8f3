"""Terminal style: how wide a text may be, and whether it may be coloured.

Off a terminal nothing is cut and nothing coloured.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Mood: TypeAlias = Literal["good", "bad", "doubtful"]

_COLOURS: dict[Mood, str] = {"good": "32", "bad": "31", "doubtful": "33"}


@dataclass(frozen=True)
class Look:
    """The shape of lines where they are read; `width` in characters, None to cut nothing."""

    width: int | None = None
    colour: bool = False

    def row(self, text: str, word: str = "", mood: Mood | None = None) -> str:
        """Cut a line of a table to the width, and paint the first `word` in it."""
        line = text.rstrip()
        if self.width is not None and len(line) > self.width:
            line = f"{line[: max(self.width - 1, 0)].rstrip()}…"
        # Painted after the cut: a cut in the middle of a colour's code would colour what follows.
        return line.replace(word, self.paint(word, mood), 1) if word else line

    def sentence(self, about: str, says: str) -> str:
        """Wrap what is said about something below itself, between its words: nothing is cut."""
        if self.width is None or len(about) + len(says) <= self.width:
            return f"{about}{says}"
        return "\n".join(
            textwrap.wrap(
                says,
                max(self.width, 2 * len(about)),
                initial_indent=about,
                subsequent_indent=" " * len(about),
                break_long_words=False,
                break_on_hyphens=False,
            )
        )

    def paint(self, word: str, mood: Mood | None) -> str:
        """Colour a word by its mood, where there are colours."""
        return f"\x1b[{_COLOURS[mood]}m{word}\x1b[0m" if self.colour and mood else word


PLAIN = Look()


def wide(words: Iterable[str], least: int) -> int:
    """Measure how wide a column must be for its words, `least` when they are short."""
    return max([least, *map(len, words)])
