"""Status: what is, against what is wanted, and why not."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from reconciler.core.projection import host_status
from reconciler.errors import ConfigError, Unexpected
from reconciler.loop.observer import Observer
from reconciler.loop.survey import HostSurvey, broken, survey
from reconciler.loop.unforeseen import unforeseen
from reconciler.model.observed import TESTIMONY
from reconciler.model.status import HostStatus, Status
from reconciler.verbs.context import Reader
from reconciler.verbs.result import ERROR, OK, Outcome, Show

LOOK_SECONDS = 2.0


async def run(reader: Reader, *, exit_code: bool) -> Outcome[Status]:
    """Return the status of every managed host; with `exit_code`, 1 says that one is not ready."""
    status = await _status(reader)
    ready = all(host.conditions[0].status == "True" for host in status.hosts)
    return Outcome(status, ERROR if exit_code and not ready else OK)


async def follow(reader: Reader, show: Show, say: Callable[[str], None]) -> None:
    """Show the status, and again whenever it changes, for as long as somebody reads.

    Files that are half written are said.
    """
    shown: Status | str = ""
    while True:
        try:
            now: Status | str = await _status(reader)
        except ConfigError as error:
            now = error.message
        if now != shown:
            if isinstance(now, str):
                say(now)
            elif not show(now):
                return
        shown = now
        await reader.clock.sleep(LOOK_SECONDS)


async def _status(reader: Reader) -> Status:
    seen = await survey(reader, reader.source.read())
    async with anyio.create_task_group() as group:
        metered = [_Metered(reader, one) for one in seen]
        for one in metered:
            group.start_soon(one.read)
    return Status(hosts=tuple(one.told() for one in metered))


class _Metered:
    """What was seen of a host, with what its witness says: while a host answers, nobody else needs that."""

    def __init__(self, reader: Reader, seen: HostSurvey) -> None:
        self._looking, self.seen, self.observed = reader, seen, seen.observed

    def told(self) -> HostStatus:
        """Return the status of the host."""
        seen = self.seen
        try:
            with unforeseen(self._looking.keep):
                return host_status(seen.slice, self.observed, seen.hints, seen.plan)
        except Unexpected as error:
            nothing = broken(seen.slice, error)
            return host_status(nothing.slice, nothing.observed, nothing.hints, nothing.plan)

    async def read(self) -> None:
        """Ask the witness, if there is one that was not asked."""
        slice_, key = self.seen.slice, TESTIMONY(self.seen.slice.host.name)
        if slice_.host.power.proof is not None and key not in self.observed:
            readers = self._looking.readers(slice_)
            self.observed = await Observer(readers, slice_, self._looking.clock).look(
                [key], self.observed
            )
