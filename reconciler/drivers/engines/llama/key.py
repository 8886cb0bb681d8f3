"""The API key with which a server is asked, read each time that it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.edge import secret
from reconciler.errors import Declined
from reconciler.model.secret import where

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.model.secret import Secret

VARIABLE = "LLAMA_API_KEY"
"""The variable by which llama-server gets its keys, with commas between; a command line would show
them to every user."""


class Key:
    """A key that was read just now. It is never shown: not by a repr, nor in a sentence.

    `source` is where its `word` was found, `problem` why it could not be read.
    """

    def __init__(self, word: str = "", source: str = "", problem: str = "") -> None:
        self.word, self.source, self.problem = word, source, problem

    @property
    def headers(self) -> Mapping[str, str]:
        """What goes with a request."""
        return {"Authorization": f"Bearer {self.word}"} if self.word else {}

    @property
    def lesson(self) -> str:
        """What a refusal means, and what to do about it."""
        if self.problem:
            return f"it wants a key, and {self.problem}"
        if self.source:
            return (
                f"it does not take the key in {self.source}: name the key that it was started with"
            )
        return "it wants a key: name it with `key:` of its engine in inventory.yaml"


def read(place: Secret | None) -> Key:
    """Read the key that a reference leads to."""
    if place is None:
        return Key()
    try:
        word = secret.read_word(place)
    except Declined as error:
        return Key(problem=error.message)
    # Of several keys the first is as good as any.
    return Key(word.partition(",")[0], where(place))
