"""Keys as text: the one that was made, this once, or what keys there are."""

from __future__ import annotations

from typing import Any

from reconciler.core.deadlines import said_at
from reconciler.render.terminal_style import PLAIN, Look

NONE_YET = (
    "No keys: requests from this machine may ask models and look, nothing else is let in;"
    " `reconciler key add NAME` makes one."
)


def keys_text(document: dict[str, Any], look: Look = PLAIN) -> str:
    """Render the keys, one a line."""
    _ = look
    if document["made"]:
        name = document["keys"][0]["name"]
        said = f"This is the key {name}, and it is told only now: keep it where its client reads it"
        note = f"\nNote: {document['note']}" if document["note"] else ""
        return f"{document['made']}\n{said}, to be sent as Authorization: Bearer KEY.{note}"
    return "\n".join(map(_line, document["keys"])) or NONE_YET


def _line(key: dict[str, Any]) -> str:
    models = f" of {', '.join(key['models'])}" if key["models"] else ""
    limits = f"{key['in_flight']} at once, {key['waiting']} waiting"
    until = f", until {said_at(key['expires'])}" if key["expires"] is not None else ""
    wakes = ", wakes by listing" if key["wake_on_list"] else ""
    scopes = ", ".join(key["scopes"])
    return f"{key['name']:<20} {key['id']}  {scopes}{models}; {limits}{wakes}{until}"
