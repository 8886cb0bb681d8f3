"""Lending: what requests may bring in on a host, and what they want of each of its models."""

from __future__ import annotations

from reconciler.model.names import ModelName, Value


class Rules(Value):
    """What requests may do on one host; durations in seconds.

    They may bring in the models of `allow`. What the file wants comes back after `return_after`
    without a request, or never where that is None. While others wait, a model keeps its place for
    `min_residency` at least. A request waits for `max_wait` at most.
    """

    allow: tuple[ModelName, ...] = ()
    return_after: float | None = 300.0
    min_residency: float = 30.0
    max_wait: float = 240.0


NOTHING_LENT = Rules()


class Demand(Value):
    """What requests want of one model; moments in seconds of the boot clock.

    The oldest of those that wait does so since `oldest`. `used` is when the newest request was sent
    to the model or ended, never when one began to wait. Requests may reach the model since `since`;
    None while they may not.
    """

    in_flight: int = 0
    waiting: int = 0
    oldest: float | None = None
    used: float | None = None
    since: float | None = None
