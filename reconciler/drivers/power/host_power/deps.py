"""What a driver of a host's power may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from reconciler.drivers.power.host_power.refusals import Refusals
    from reconciler.edge.loop_scope import LoopScope
    from reconciler.ports import Access


class Reach(NamedTuple):
    """A host, the access to it, and the access to the machine that works in the controller's place, which may be its own.

    Then which passwords were refused lately, and the event loop that connections live in.
    """

    name: str
    host: Access
    via: Access
    refusals: Refusals
    loop: LoopScope
