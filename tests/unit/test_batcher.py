"""Questions asked at the same moment are one round trip; each gets its own answers."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from reconciler.edge.batcher import Batcher

trips: list[list[int]] = []


async def doubled(questions: Sequence[int]) -> tuple[int, ...]:
    trips.append(list(questions))
    await anyio.sleep(0.01)
    return tuple(2 * one for one in questions)


def test_all_who_ask_at_once_share_one_round_trip_and_get_their_own_answers() -> None:
    async def script() -> None:
        together, found = Batcher(doubled, -1), {}

        async def asks(*questions: int) -> None:
            found[questions] = await together.ask(questions)

        async with anyio.create_task_group() as group:
            for questions in ((1,), (2, 3), (4,)):
                group.start_soon(asks, *questions)
        assert found == {(1,): (2,), (2, 3): (4, 6), (4,): (8,)}
        assert await together.ask([5]) == (10,)

    trips.clear()
    anyio.run(script)
    assert trips == [[1, 2, 3, 4], [5]]


def test_who_waits_for_a_round_trip_that_is_cancelled_is_told_so() -> None:
    async def script() -> None:
        together = Batcher(doubled, -1)
        found: list[tuple[int, ...]] = []

        async def waits() -> None:
            found.append(await together.ask([2]))

        async with anyio.create_task_group() as waiting, anyio.create_task_group() as asking:
            asking.start_soon(together.ask, [1])
            await anyio.lowlevel.checkpoint()
            waiting.start_soon(waits)
            await anyio.lowlevel.checkpoint()
            asking.cancel_scope.cancel()
        assert found in ([(-1,)], [(4,)])
        assert await together.ask([5]) == (10,)

    anyio.run(script)
