"""Conversations: what became of them, as sentences: lost with a unit, or not put back into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

BECAME = {
    "cold": "starts cold",
    "unverified": "was put back, but not verified",
    "failed": "could not be put back, and the engine is started again",
    "open": "was being put back when that was cut short",
}
"""What a person needs to know of a saved conversation after each outcome of a restore; one that is proven goes on."""


def lost(model_name: str, count: int) -> str:
    """Return that conversations of a model were lost which the plan meant to keep."""
    lost_ones = "1 conversation was" if count == 1 else f"{count} conversations were"
    return f"{model_name}: {lost_ones} lost that the plan meant to keep"


def not_proven(model_name: str, evidence: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each slot in the evidence of a restore that did not end as it should."""
    for slot in evidence.get("slots", ()):
        if became := BECAME.get(slot["outcome"]):
            yield f"{model_name}: {conversation(slot['slot'], slot['tokens'])} {because(became, slot.get('reason', ''))}"


def conversation(slot: int, tokens: int) -> str:
    """Return a name for what a slot holds or held."""
    return f"slot {slot} ({tokens:,} tokens)"


def because(became: str, reason: str) -> str:
    """Return what became of something, with the reason where one is known."""
    return f"{became}: {reason}" if reason else became
