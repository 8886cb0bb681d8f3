"""Hosts: which ones a person means."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.core.wording import listed
from reconciler.errors import Misused
from reconciler.verbs.context import Reader


def chosen(reader: Reader, host: str | None) -> tuple[str, ...]:
    """Choose the named host, or all that are managed; raise Misused for one that is not."""
    return among(reader.source.read().slices, host)


def among(managed: Iterable[str], host: str | None) -> tuple[str, ...]:
    """Choose the named host of these, or all; raise Misused for one that is not among them."""
    names = tuple(sorted(managed))
    if host is not None and host not in names:
        raise Misused(f"host {host} is not managed; the managed hosts are: {listed(names)}")
    return names if host is None else (host,)
