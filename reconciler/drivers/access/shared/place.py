"""Where a host is, as those who make an access to it must know."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from reconciler.edge.loop_scope import LoopScope
    from reconciler.model.spec import Via


class HostPlace(NamedTuple):
    """A host, its own directory, and the event loop that connections live in.

    `directory` is where this machine keeps what belongs to it as a host. `via` is the host that it
    is reached through, None where it is reached at once.
    """

    host_name: str
    directory: str
    loop: LoopScope
    via: Via | None = None
