"""Acting: a verb goes on by itself, and is told of at once or when it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from reconciler.api.reply import acted, told
from reconciler.api.served import Served
from reconciler.errors import Misused
from reconciler.gateway.control import ControlReply, ControlRequest
from reconciler.model.names import Value
from reconciler.verbs.contained import contained
from reconciler.verbs.context import Caller
from reconciler.verbs.result import Outcome

Work: TypeAlias = Callable[[Caller], Awaitable[Outcome[Value]]]

LONGEST_SECONDS = 3600.0
WAIT = {"wait": "How many seconds to wait for the end; without it, 202 once it is asked for."}
ACCEPTED = 202


async def acting(served: Served, asked: ControlRequest, work: Work) -> ControlReply:
    """Begin `work`, and answer when it has ended, or with its number while it goes on.

    Who asked may leave: what was begun ends by itself.
    """
    seconds = _seconds(asked.query.get("wait", "0"))
    numbers: asyncio.Future[Mapping[str, int]] = asyncio.get_running_loop().create_future()

    def begun(rows: Mapping[str, int]) -> None:
        if not numbers.done():
            numbers.set_result(rows)

    caller = Caller(lambda _: True, _unheard, asked=begun)
    task = asyncio.ensure_future(contained(served.keep, work(caller)))
    served.begun.add(task)
    task.add_done_callback(served.begun.discard)
    task.add_done_callback(_looked_at)
    await asyncio.wait((task, numbers), return_when=asyncio.FIRST_COMPLETED)
    if not task.done() and seconds:
        # The watch has ended before this process does: its answer would be waited for in vain.
        left = asyncio.ensure_future(served.doors.left())
        await asyncio.wait((task, left), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        left.cancel()
    if task.done():
        return acted(task.result())
    rows = numbers.result()
    return told(ACCEPTED, {"operation": max(rows.values(), default=0), "hosts": dict(rows)})


def _unheard(_: str) -> None:
    """Say nothing: the document and the journal tell all of it."""


def _looked_at(task: asyncio.Future[Outcome[Value]]) -> None:
    # What nobody waits for any more was told in the journal; asyncio would complain of it.
    if not task.cancelled():
        task.exception()


def _seconds(text: str) -> float:
    if not text.isdecimal() or int(text) > LONGEST_SECONDS:
        raise Misused(f"found wait={text}, expected whole seconds, {LONGEST_SECONDS:.0f} at most")
    return float(text)
