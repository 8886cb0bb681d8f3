"""Events: every row of the journal as it is written, one event each."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from reconciler.api.call import ApiCall
from reconciler.api.events import BEAT_SECONDS, ended
from reconciler.api.served import Served
from reconciler.errors import Misused, ReconcilerError
from reconciler.gateway.control import BEAT, ControlReply, ControlRequest
from reconciler.model.records import Row
from reconciler.verbs.contained import contained, each_contained

GLANCE_SECONDS = 0.25


async def _events(served: Served, asked: ControlRequest) -> ControlReply:
    last = asked.last_event or asked.query.get("after", "")
    if last and not last.isdecimal():
        raise Misused(f"found {last} as the last event, expected the number of a row")
    after = int(last) if last else await served.journal.newest()
    return ControlReply(200, events=_written(served, after))


async def _written(served: Served, after: int) -> AsyncIterator[bytes]:
    yield BEAT
    spoke = served.clock.boot()
    try:
        while True:
            if await contained(served.keep, served.journal.newest()) > after:
                async for rows in each_contained(served.keep, served.journal.parts(after)):
                    for row in rows:
                        yield _event(row)
                    after = rows[-1].seq
                spoke = served.clock.boot()
            elif served.clock.boot() - spoke >= BEAT_SECONDS:
                yield BEAT
                spoke = served.clock.boot()
            await served.clock.sleep(GLANCE_SECONDS)
    except ReconcilerError as error:
        yield ended(error)


def _event(row: Row) -> bytes:
    # What was wanted is long, and its digest names it.
    told = row.model_dump(mode="json", exclude={"record": {"slice", "slices"}})
    written = json.dumps(told, ensure_ascii=False)
    return f"id: {row.seq}\nevent: {row.record.kind}\ndata: {written}\n\n".encode()


CALLS = (
    ApiCall(
        "GET",
        "/api/v1/events",
        "Every row of the journal as it is written, as server-sent events.",
        _events,
        query={"after": "The number of the last row that is known; Last-Event-ID says the same."},
    ),
)
