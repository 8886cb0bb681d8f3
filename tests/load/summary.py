"""Summary: one line about a load."""

from __future__ import annotations

from tests.load.history import switches
from tests.load.ledger import Ledger


def summary(ledger: Ledger) -> str:
    """How much happened, how long answers took, and the seed with which it comes again."""
    first: dict[str, float] = {}
    for sent in ledger.sent:
        first.setdefault(sent.wish.nonce, sent.at)
    waits = sorted(came.at - first[came.nonce] for came in ledger.came if came.answer is not None)
    counts = f"{switches(ledger.rows)} switches, {len(ledger.downs)} kills, {len(waits)} answers"
    took = f"half within {waits[len(waits) // 2]:.2f} s, all within {waits[-1]:.2f} s"
    return f"{counts}, {took}; seed {ledger.seed}"
