"""Outlook: how long what keeps requests from a model lasts, and whether the model failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reconciler.core import lending, phrases, policy
from reconciler.core.expiry import seconds_until
from reconciler.core.recovery import Hints
from reconciler.core.retries import retry_at
from reconciler.model.lending import Outlook
from reconciler.model.records import Instant, Lease, Quarantine
from reconciler.model.spec import Slice


def outlooks(
    slice_: Slice, hints: Hints, now: Instant, lent: Mapping[str, Lease], names: Iterable[str]
) -> dict[str, Outlook]:
    """What is known of each model that requests would wait for in vain."""
    held, taken = policy.holding(hints, now), dict(_taken(slice_, lent))
    if held is not None:
        until = held.hold.until
        ends = None if until is None else seconds_until(until, held.since, hints, now)
        return dict.fromkeys(names, Outlook(seconds=ends))
    found: dict[str, Outlook] = {}
    for name in names:
        wish = hints.quarantine if name in (slice_.active or ()) else None
        failure = wish or hints.unlendable.get(name)
        if failure is not None:
            failed = not phrases.is_left(failure)
            found[name] = Outlook(seconds=_again(failure, hints, now), failed=failed)
        elif name in taken:
            until, since = taken[name]
            found[name] = Outlook(seconds=seconds_until(until, since, hints, now))
    return found


def _taken(slice_: Slice, lent: Mapping[str, Lease]) -> Iterator[tuple[str, tuple[float, Instant]]]:
    """The models whose place a person has, each with the end of that, and since when."""
    against = lending.rivals(slice_)
    for name, term in lending.taken(lent).items():
        yield from ((rival, (term.until, lent[name].since)) for rival in against[name])


def _again(failure: Quarantine, hints: Hints, now: Instant) -> float | None:
    """In how many seconds a failure is tried again, None where a person left it for good."""
    if phrases.is_left(failure):
        return None
    return seconds_until(retry_at(failure), failure.since, hints, now)
