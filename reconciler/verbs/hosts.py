"""Hosts: which ones a person means."""

from __future__ import annotations

from reconciler.errors import Misused
from reconciler.verbs.given import Looking


def chosen(looking: Looking, host: str | None) -> tuple[str, ...]:
    """Return the named host, or all that are managed; raise Misused for one that is not."""
    managed = sorted(looking.source.read().slices)
    if host is None:
        return tuple(managed)
    if host not in managed:
        raise Misused(f"host {host} is not managed; managed are: {', '.join(managed) or 'none'}")
    return (host,)
