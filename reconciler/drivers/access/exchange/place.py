"""Where a host is, as whoever makes an access to it must know."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from reconciler.edge.loop import Loop


class Place(NamedTuple):
    """Name a host, where this machine keeps what belongs to it as a host, and the event loop that connections live in."""

    host_name: str
    directory: str
    loop: Loop
