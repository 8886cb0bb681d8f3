"""Retries: when what failed is tried again without being asked."""

from __future__ import annotations

from reconciler.core.backoff import Backoff, next_delay
from reconciler.model.records import Quarantine

RETRY = Backoff()
HASH_SPAN = 16.0**8


def retry_at(failure: Quarantine) -> float:
    """When a failed wish may be tried again without being asked, in wall clock seconds."""
    # By the key, not by chance: the core stays pure, and hosts that failed together do not come
    # back together.
    spread = int(failure.key[-8:], 16) / HASH_SPAN
    return failure.since.at + next_delay(RETRY, failure.attempts, spread)
