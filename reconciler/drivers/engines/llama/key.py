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
"""How llama-server is given its keys where nobody can read them, several with commas between."""


class Key:
    """A key that was read just now. It is never shown: not by a repr, nor in a sentence."""

    def __init__(self, word: str = "", source: str = "", problem: str = "") -> None:
        """Keep the word, where it is, and why it could not be read."""
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
    """Return the key that a reference leads to: of several the first, which is as good as any."""
    if place is None:
        return Key()
    try:
        return Key(secret.read_word(place).partition(",")[0], where(place))
    except Declined as error:
        return Key(problem=error.message)
