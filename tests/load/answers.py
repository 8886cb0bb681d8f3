"""Answers: what stands in the body of a completion, read as strictly as any client does. Pure."""

from __future__ import annotations

import json
from typing import Any

from tests.load.ledger import Answer

DONE = "[DONE]"


def read(status: int, body: bytes, *, streams: bool) -> Answer:
    """The answer in a body; whatever does not belong there is its trouble."""
    text = body.decode(errors="replace")
    try:
        return _stream(text) if streams and status == 200 else _whole(status, text)
    except (ValueError, LookupError, TypeError) as error:
        return Answer(status, text, "", 0, f"{type(error).__name__}: {error} in {text!r}")


def _whole(status: int, text: str) -> Answer:
    if status != 200:
        return Answer(status, text, "", 0)
    found: dict[str, Any] = json.loads(text)
    return Answer(status, found["choices"][0]["text"], found["id"], 0)


def _stream(text: str) -> Answer:
    events = text.split("\n\n")
    if events.pop():
        raise ValueError("an event that does not end")
    told = [_said(event) for event in events]
    parts = [json.loads(one) for one in told if one != DONE]
    names = {part["id"] for part in parts}
    if len(names) != 1 or told[-1] != DONE:
        raise ValueError(f"{len(names)} names, and {told[-1]} at the end")
    said = "".join(part["choices"][0]["text"] for part in parts if part["choices"])
    return Answer(200, said, names.pop(), told.count(DONE))


def _said(event: str) -> str:
    """What an event says; comments say nothing, but no event has only those."""
    (line,) = (line for line in event.split("\n") if not line.startswith(":"))
    return line.removeprefix("data: ")
