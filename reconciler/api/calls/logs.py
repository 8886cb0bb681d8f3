"""Logs: what the engine of a model wrote, and what it goes on writing."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from reconciler.api.call import ApiCall
from reconciler.api.events import BEAT_SECONDS, ended
from reconciler.api.reply import looked, number
from reconciler.api.served import Served
from reconciler.errors import Misused, ReconcilerError
from reconciler.gateway.control import BEAT, ControlReply, ControlRequest
from reconciler.render.documents import LogDocument
from reconciler.verbs import logs
from reconciler.verbs.contained import each_contained

LINES, MOST_LINES = 20, 1000
END = re.compile(r"([A-Za-z0-9][A-Za-z0-9:;=_-]{0,511})?")
"""Of a log or of systemd's journal: it is handed to programs on a host."""


async def _logs(served: Served, asked: ControlRequest) -> ControlReply:
    after = asked.last_event or asked.query.get("after", "")
    if not END.fullmatch(after):
        raise Misused(f"found after={after}, expected the `end` of an earlier answer")
    usual = MOST_LINES if after else LINES
    lines = number(asked.query.get("lines", str(usual)), "a number of lines")
    if not 0 < lines <= MOST_LINES:
        raise Misused(f"found {lines} lines, expected 1 to {MOST_LINES}")
    model = asked.named["model"]
    if "follow" not in asked.query:
        return looked(await logs.run(served, model, lines, after))
    # The first part is read before the answer begins: what is wrong then has a status.
    parts = logs.parts(served, model, lines, after)
    return ControlReply(200, events=_followed(served, await anext(parts), parts))


async def _followed(
    served: Served, first: LogDocument, rest: AsyncIterator[LogDocument]
) -> AsyncIterator[bytes]:
    yield _event(first)
    spoke = served.clock.boot()
    try:
        async for part in each_contained(served.keep, rest):
            if part.lines:
                yield _event(part)
            elif served.clock.boot() - spoke < BEAT_SECONDS:
                continue
            else:
                yield BEAT
            spoke = served.clock.boot()
    except ReconcilerError as error:
        yield ended(error)


def _event(part: LogDocument) -> bytes:
    return f"id: {part.end}\nevent: lines\ndata: {part.model_dump_json()}\n\n".encode()


CALLS = (
    ApiCall(
        "GET",
        "/api/v1/logs/{model}",
        "What the engine of a model wrote.",
        _logs,
        LogDocument,
        query={
            "lines": "How many lines, up to 1000; without it 20, or with `after` 1000.",
            "after": "The `end` of an earlier answer: only what was written since.",
            "follow": "Go on with what comes, as server-sent events; Last-Event-ID continues.",
        },
    ),
)
