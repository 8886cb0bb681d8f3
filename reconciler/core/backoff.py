"""Backoff: how long to wait before trying again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Grow a delay in seconds from `initial` by `factor` up to `longest`, spread by `jitter` (a share of it)."""

    initial: float = 10.0
    factor: float = 3.0
    longest: float = 900.0
    jitter: float = 0.25


def next_delay(policy: Backoff, attempts: int, random: float) -> float:
    """Return the seconds to wait after `attempts` failures.

    `random` in [0, 1) spreads hosts apart.
    """
    grown = policy.initial * policy.factor ** min(max(attempts - 1, 0), 64)
    return min(grown, policy.longest) * (1 + policy.jitter * random)
