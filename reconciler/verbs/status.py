"""Status: what is, against what is wanted, and why not."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from reconciler.core.projection import host_status
from reconciler.errors import ConfigError, Unexpected
from reconciler.loop.observer import Observer
from reconciler.loop.survey import HostSurvey, broken, survey
from reconciler.loop.unforeseen import unforeseen
from reconciler.model.observed import TESTIMONY, Observed
from reconciler.model.status import HostStatus, Status
from reconciler.verbs.context import Reader
from reconciler.verbs.result import ERROR, OK, Outcome, Show

LOOK_SECONDS = 2.0


async def run(reader: Reader, *, exit_code: bool) -> Outcome[Status]:
    """Tell the status of every managed host; with `exit_code`, 1 says that one is not ready."""
    status = await _status(reader)
    ready = all(_is_ready(host) for host in status.hosts)
    return Outcome(status, ERROR if exit_code and not ready else OK)


def _is_ready(host: HostStatus) -> bool:
    return host.conditions[0].status == "True"


async def follow(reader: Reader, show: Show, say: Callable[[str], None]) -> None:
    """Show the status again whenever it changes, until `show` has no reader."""
    shown: Status | str = ""
    while True:
        now = await _status_or_complaint(reader)
        if now != shown:
            if isinstance(now, str):
                say(now)
            elif not show(now):
                return
        shown = now
        await reader.clock.sleep(LOOK_SECONDS)


async def _status_or_complaint(reader: Reader) -> Status | str:
    # Files that are half written are whole at the next look: following goes on.
    try:
        return await _status(reader)
    except ConfigError as error:
        return error.message


async def _status(reader: Reader) -> Status:
    seen = await survey(reader, reader.source.read())
    async with anyio.create_task_group() as group:
        metered = [_Metered(reader, one) for one in seen]
        for one in metered:
            group.start_soon(one.read)
    return Status(hosts=tuple(one.told() for one in metered))


class _Metered:
    """What was seen of a host, with what its witness says.

    A survey asks no witness of a host that answers; status does, for what its meter reads.
    """

    def __init__(self, reader: Reader, seen: HostSurvey) -> None:
        self._looking, self.seen, self.observed = reader, seen, seen.observed

    def told(self) -> HostStatus:
        """Judge the host by everything that was seen."""
        try:
            with unforeseen(self._looking.keep):
                return _judged(self.seen, self.observed)
        except Unexpected as error:
            nothing = broken(self.seen.slice, error)
            return _judged(nothing, nothing.observed)

    async def read(self) -> None:
        """Ask the witness, if there is one that was not asked."""
        slice_ = self.seen.slice
        key = TESTIMONY(slice_.host.name)
        if slice_.host.power.proof is not None and key not in self.observed:
            readers, clock = self._looking.readers(slice_), self._looking.clock
            self.observed = await Observer(readers, slice_, clock).look([key], self.observed)


def _judged(seen: HostSurvey, observed: Observed) -> HostStatus:
    return host_status(seen.slice, observed, seen.hints, seen.plan)
