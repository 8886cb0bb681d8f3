"""Backoff: how long to wait before trying again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """A delay in seconds that grows from `initial` by `factor` up to `longest`.

    `jitter` is the share of it by which it is spread.
    """

    initial: float = 10.0
    factor: float = 3.0
    longest: float = 900.0
    jitter: float = 0.25


def next_delay(policy: Backoff, attempts: int, random: float) -> float:
    """The seconds to wait after `attempts` failures; `random` in [0, 1) spreads hosts apart."""
    # Without a limit, the power of 3 would overflow a float after some 640 failures.
    times = min(max(attempts - 1, 0), 64)
    grown = policy.initial * policy.factor**times
    return min(grown, policy.longest) * (1 + policy.jitter * random)
