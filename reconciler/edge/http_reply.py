"""HTTP reply: what a server answered, or what became of an exchange that it did not answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from reconciler.errors import DriverError

if TYPE_CHECKING:
    from pydantic import JsonValue

EXCERPT = 120
UNAUTHORIZED = 401

NoAnswer: TypeAlias = Literal[
    "refused", "timeout", "busy", "broken", "too large", "tls", "untrusted", "no tls"
]
Fault: TypeAlias = NoAnswer | Literal["not json"]

SENTENCES: Mapping[str, str] = {
    "refused": "{asked}: nothing accepts connections there ({words})",
    "timeout": "{asked} was not answered within {words}",
    "busy": "{asked}: it has not come to it yet, and works for others ({words})",
    "broken": "{asked}: the connection broke ({words})",
    "too large": "{asked} answered with more than {words}",
    "tls": "{asked}: it speaks TLS there ({words})",
    "untrusted": "{asked}: it shows a certificate that {words}",
    "no tls": "{asked}: it does not speak TLS there ({words}); check `address`",
}


class HttpFault(DriverError):
    """An exchange without a usable answer; `fault` tells the cases apart."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault

    @property
    def unheard(self) -> bool:
        """Whether the request reached no server, so that nothing will come of it."""
        return self.fault in {"refused", "untrusted", "no tls"}


def unanswered(fault: NoAnswer, asked: str, words: str) -> HttpFault:
    """Put an exchange without an answer into a sentence; `words` complete it."""
    return HttpFault(fault, SENTENCES[fault].format(asked=asked, words=words))


class Reply(NamedTuple):
    """An answer of any status; `reason` is the text of its status line.

    `elsewhere` is a redirect that was not followed, in words.
    """

    asked: str
    status: int
    body: bytes
    reason: str = ""
    elsewhere: str = ""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def excerpt(self) -> str:
        """The redirect, or the beginning of the body on one line, for a sentence."""
        return self.elsewhere or self._beginning or "nothing"

    @property
    def _beginning(self) -> str:
        # A body may have 64 MiB; only as much is split into words as can be shown.
        return " ".join(self.text[: 4 * EXCERPT].split())[:EXCERPT]

    def json(self) -> JsonValue:
        """Parse the body; raise HttpFault when it is not JSON."""
        try:
            parsed: JsonValue = json.loads(self.body)
        # A few kilobytes of "[" are enough for a RecursionError.
        except (ValueError, RecursionError) as error:
            said = f"{self.asked} answered {self.status} with {self.excerpt!r}, not with JSON"
            raise HttpFault("not json", said) from error
        return parsed
