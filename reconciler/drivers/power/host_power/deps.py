"""The dependencies of a driver of a host's power."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from reconciler.drivers.power.host_power.refusals import Refusals
    from reconciler.edge.loop_scope import LoopScope
    from reconciler.ports import Access


class Reach(NamedTuple):
    """The host, and all that a driver may reach.

    `via` is the machine that works in the controller's place, which may be the controller's own;
    `refusals` tells which passwords were refused lately, and connections live in `loop`.
    """

    name: str
    host: Access
    via: Access
    refusals: Refusals
    loop: LoopScope
