"""What a verb is given: to look, or to act as well.

A verb that only looks cannot act: mypy refuses what is not in its Protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from reconciler.core.live_tally import LiveTally
from reconciler.loop.context import HostContext
from reconciler.loop.hints_cache import HintsCache, HintsRead
from reconciler.loop.interrupt import Interrupt
from reconciler.loop.ports_cache import PortsCache
from reconciler.loop.surveyor import Surveyor
from reconciler.model.spec import Slice
from reconciler.ports import (
    Edits,
    HostPorts,
    Journal,
    Lock,
    Random,
    Source,
    Supervisor,
)
from reconciler.render.plan_document import PlanDocument

Remembered: TypeAlias = HintsRead
"""What the journal says of each host, folded as far as it was read."""


class Reader(Surveyor, Protocol):
    """What a verb that only looks is given: what a survey is, and the files."""

    @property
    def source(self) -> Source:
        """Where the files are read."""


class Actor(Reader, Protocol):
    """What a verb that acts is given as well."""

    @property
    def journal(self) -> Journal:
        """Where things are recorded."""

    @property
    def lock(self) -> Lock:
        """What guards acting."""

    def ports(self, slice_: Slice) -> HostPorts:
        """Open what can be asked of a host, and done to it."""


class Metered(Reader, Protocol):
    """What a verb that only looks is given as well that tells what this process did."""

    @property
    def tally(self) -> LiveTally:
        """What it saw and did that no row says."""


class Daemon(Actor, Metered, Protocol):
    """What a verb is given as well that acts for as long as it runs."""

    @property
    def edits(self) -> Edits:
        """What notices a change of the files."""

    @property
    def supervisor(self) -> Supervisor:
        """What is told how it goes, such as systemd."""

    @property
    def random(self) -> Random:
        """Chance."""


def host_context(
    app: Actor, cache: HintsCache, interrupt: Interrupt, say: Callable[[str], None]
) -> HostContext:
    """Make what one pass over a host is given."""
    # Each pass has its own ports: a driver remembers what it did there.
    ports = PortsCache(app.ports)
    return HostContext(ports, cache, app.clock, app.controller, interrupt, say, app.keep)


@dataclass(frozen=True)
class Caller:
    """The caller of a verb that acts, asked to `approve` a plan, and told by `say` what happens.

    `may_end` is entered with the interrupt of what is under way, and left when that has ended.
    `asked` is told the number of each host's row where another process is asked to act.
    """

    approve: Callable[[PlanDocument], bool]
    say: Callable[[str], None]
    may_end: Callable[[Interrupt], AbstractAsyncContextManager[object]] = nullcontext
    asked: Callable[[Mapping[str, int]], object] = len
