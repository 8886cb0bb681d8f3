"""Router: finds what answers at a way in, and turns what it raises into an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio import to_thread

from reconciler.api import openapi
from reconciler.api.call import ApiCall
from reconciler.api.calls import acting, events, keys, logs, looking, metrics, unloading
from reconciler.api.reply import refused, told
from reconciler.api.served import ApiApp, Served
from reconciler.errors import ReconcilerError
from reconciler.gateway.routes import TABLE
from reconciler.verbs.contained import contained
from reconciler.verbs.metrics import Meter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.gateway.control import ControlReply, ControlRequest
    from reconciler.ports import Doors


async def _described(_: Served, __: ControlRequest) -> ControlReply:
    return told(200, await to_thread.run_sync(openapi.document, TABLE, CALLS))


DESCRIBED = ApiCall("GET", "/openapi.json", "This description.", _described)

CALLS: Mapping[tuple[str, str], ApiCall] = {
    (call.method, call.shape): call
    for calls in (
        *(looking.CALLS, logs.CALLS, events.CALLS, acting.CALLS, keys.CALLS, unloading.CALLS),
        *(metrics.CALLS, (DESCRIBED,)),
    )
    for call in calls
}
"""What answers at each way in of the table that says `control`."""


class ControlApi:
    """The control API of one process."""

    def __init__(self, app: ApiApp, doors: Doors) -> None:
        meter = Meter(app, doors, app.clock.wall())
        self._served = Served(app, doors, meter, app.remembered())

    async def answer(self, asked: ControlRequest) -> ControlReply:
        """Answer; whatever is raised is told."""
        call = CALLS[asked.entrance.method, asked.entrance.shape]
        try:
            return await contained(self._served.keep, call.does(self._served, asked))
        except ReconcilerError as error:
            return refused(error)
